#include "aggregator/store/mysql_client_file.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace netsentinel::store {
namespace {

// The login is begun in the way that each server and user may change, whatever the server's own is.
constexpr absl::string_view kText =
    "[client]\n"
    "default-auth=mysql_native_password\n"
    "restricted-auth=mysql_native_password,client_ed25519";

}  // namespace

absl::StatusOr<MysqlClientFile> MysqlClientFile::Make(bool known_server) {
  const std::string text = absl::StrCat(kText, known_server ? ",caching_sha2_password" : "", "\n");
  io::FileDescriptor file(::memfd_create("netsentinel-mysql", MFD_CLOEXEC));
  // The library ignores a file that everybody may write.
  if (!file.valid() || ::fchmod(file.get(), 0600) != 0 ||
      ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return absl::UnavailableError(absl::StrCat("cannot make the MySQL client's options: ",
                                               std::generic_category().message(errno)));
  }
  std::string path = absl::StrCat("/proc/self/fd/", file.get());
  return MysqlClientFile(std::move(file), std::move(path));
}

}  // namespace netsentinel::store
