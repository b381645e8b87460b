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

constexpr absl::string_view kText =
    "[client]\n"
    "restricted-auth=mysql_native_password,client_ed25519,caching_sha2_password\n";

}  // namespace

absl::StatusOr<MysqlClientFile> MysqlClientFile::Make() {
  io::FileDescriptor file(::memfd_create("netsentinel-mysql", MFD_CLOEXEC));
  // The library ignores a file that everybody may write.
  if (!file.valid() || ::fchmod(file.get(), 0600) != 0 ||
      ::write(file.get(), kText.data(), kText.size()) != static_cast<ssize_t>(kText.size())) {
    return absl::UnavailableError(absl::StrCat("cannot make the MySQL client's options: ",
                                               std::generic_category().message(errno)));
  }
  std::string path = absl::StrCat("/proc/self/fd/", file.get());
  return MysqlClientFile(std::move(file), std::move(path));
}

}  // namespace netsentinel::store
