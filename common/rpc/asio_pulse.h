#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/io/file_descriptor.h"
#include "common/rpc/byte_stream.h"

namespace netsentinel::rpc {

// One look at whether a server is alive: a client that has its TLS handshake answered by the own
// port (it shows no certificate, and leaves), and one that gets a frame of HTTP/2 from gRPC. One
// thread.
class AsioPulse : public std::enable_shared_from_this<AsioPulse> {
 public:
  // `dialled` is being connected to the own port; `within` is the other end of a socket that gRPC
  // has been given. `tls`: whether the port speaks TLS. `beat` is called once both have answered.
  AsioPulse(boost::asio::io_context& io, io::FileDescriptor dialled, io::FileDescriptor within,
            bool tls, std::function<void()> beat);

  void Start();
  // The address of this end as the port sees it.
  const std::string& address() const { return address_; }
  // The port has accepted the connection: all that a plain port has to show.
  void Accepted();
  // Ends it, answered or not.
  void Drop();

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  void Shake();
  void Listen();
  void Answered(bool& which);

  boost::asio::posix::stream_descriptor dialled_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
  ByteStream port_;
  boost::asio::posix::stream_descriptor within_;
  std::function<void()> beat_;
  std::string address_;
  std::string heard_;
  bool port_answered_ = false;
  bool grpc_answered_ = false;
};

}  // namespace netsentinel::rpc
