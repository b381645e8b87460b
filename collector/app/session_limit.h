#pragma once

#include <cstddef>
#include <string>

#include "common/io/descriptors.h"

namespace netsentinel::app {

// Descriptors that no router's session gets: the reserve of every program, and more for the health
// pages (128 connections at once) and the collector's own gRPC service.
inline constexpr std::size_t kDescriptorsKeptBack = io::kReservedDescriptors + 160;

// How many sessions with routers fit beside those into `descriptors`, the limit on open files; at
// least 1.
std::size_t RouterSessionsMax(std::size_t descriptors);

// Why a router waits for its session, and what to raise to which value.
std::string WaitingWords(std::size_t routers, std::size_t descriptors);

}  // namespace netsentinel::app
