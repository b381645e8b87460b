#pragma once

// For targets that speak gRPC.
#include <grpcpp/grpcpp.h>

#include "cmake/pch/base.h"
