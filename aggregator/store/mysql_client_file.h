#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

#include "common/io/file_descriptor.h"

namespace netsentinel::store {

// The options file that the MySQL client library reads for each connection, in memory: what the
// connector has no option of its own for. It names the ways of logging in that may be asked for,
// none of which tells the password to whoever sits at the database's address.
class MysqlClientFile {
 public:
  // `known_server`: TLS has shown who the server is, or the connection does not leave the host.
  // Else caching_sha2_password is left out, too: it encrypts the password with a key that the
  // server names, unchecked. kUnavailable when the system gives no memory or descriptor for it.
  static absl::StatusOr<MysqlClientFile> Make(bool known_server);
  // Where the library finds it, for as long as this lives.
  const std::string& path() const { return path_; }

 private:
  MysqlClientFile(io::FileDescriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  io::FileDescriptor file_;
  std::string path_;
};

}  // namespace netsentinel::store
