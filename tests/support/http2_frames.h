#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::test {

inline const std::string& Http2Preface() {
  static const std::string& preface = *new std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  return preface;
}

// A frame of HTTP/2 as it stands on the wire.
inline std::string Http2Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                              absl::string_view payload) {
  std::string frame;
  for (const int shift : {16, 8, 0}) {
    frame.push_back(static_cast<char>(payload.size() >> shift & 0xFF));
  }
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) {
    frame.push_back(static_cast<char>(stream >> shift & 0xFF));
  }
  frame.append(payload.data(), payload.size());
  return frame;
}

inline std::string Http2Frames(std::size_t count, const std::string& frame) {
  std::string frames;
  for (std::size_t i = 0; i < count; ++i) frames += frame;
  return frames;
}

// Preface and empty SETTINGS: how every client begins.
inline std::string Http2Opening() { return Http2Preface() + Http2Frame(4, 0, 0, ""); }

}  // namespace netsentinel::test
