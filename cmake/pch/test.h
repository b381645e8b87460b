#pragma once

// For tests.
#include "cmake/pch/base.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
