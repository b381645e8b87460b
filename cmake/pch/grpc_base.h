#pragma once

// For targets that speak gRPC.
#include "cmake/pch/base.h"
#include <grpcpp/grpcpp.h>
