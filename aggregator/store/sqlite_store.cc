#include "aggregator/store/sqlite_store.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "aggregator/store/migrate.h"
#include "aggregator/store/sql_store.h"
#include "aggregator/store/sqlite_session.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr absl::Duration kBusyTimeout = absl::Seconds(10);
constexpr std::uint64_t kPageBytes = 4096;

// The lock file of a database; locked for as long as this lives.
class OwnerLock {
 public:
  static absl::StatusOr<std::shared_ptr<OwnerLock>> Take(const std::string& path) {
    const std::string lock_path = path + ".lock";
    const int file = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot open ", lock_path, ": ", std::strerror(errno),
                       "; check that the folder exists and is writable"));
    }
    std::shared_ptr<OwnerLock> lock(new OwnerLock(file));
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      char owner[32] = {};
      const ssize_t size = ::pread(file, owner, sizeof(owner) - 1, 0);
      return absl::FailedPreconditionError(
          absl::StrCat("the database ", path, " is in use by process ",
                       size > 0 ? absl::StripSuffix(owner, "\n") : absl::string_view("?"),
                       ": SQLite serves exactly one aggregator; stop the other one or use MySQL"));
    }
    const std::string pid = absl::StrCat(::getpid(), "\n");
    if (::ftruncate(file, 0) != 0 ||
        ::pwrite(file, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot write ", lock_path, ": ", std::strerror(errno)));
    }
    return lock;
  }
  OwnerLock(const OwnerLock&) = delete;
  OwnerLock& operator=(const OwnerLock&) = delete;
  ~OwnerLock() { ::close(file_); }

 private:
  explicit OwnerLock(int file) : file_(file) {}
  int file_;
};

absl::StatusOr<std::int64_t> MagicOf(const std::string& folder) {
  struct statfs info {};
  if (::statfs(folder.c_str(), &info) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot look at the folder ", folder, ": ", std::strerror(errno)));
  }
  return static_cast<std::int64_t>(info.f_type);
}

// The name of a network file system, or nothing.
const char* NetworkFileSystem(std::int64_t magic) {
  switch (static_cast<std::uint32_t>(magic)) {
    case 0x6969:
      return "NFS";
    case 0x517B:
    case 0xFF534D42:
    case 0xFE534D42:
      return "SMB";
    case 0x01021997:
      return "9P";
    case 0x5346414F:
    case 0x6B414653:
      return "AFS";
    case 0x73757245:
      return "Coda";
    case 0x564C:
      return "NCP";
    case 0x00C36400:
      return "Ceph";
    case 0x0BD00BD0:
      return "Lustre";
    case 0x01161970:
      return "GFS2";
    case 0x7461636F:
      return "OCFS2";
    case 0x786F4256:
      return "a VirtualBox shared folder";
    default:
      return nullptr;
  }
}

absl::Status RefuseNetworkFileSystem(const std::string& path, const SqliteStoreOptions& options) {
  const std::size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
  NS_ASSIGN_OR_RETURN(const std::int64_t magic, options.file_system_magic
                                                    ? options.file_system_magic(folder)
                                                    : MagicOf(folder));
  const char* name = NetworkFileSystem(magic);
  if (name == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the folder ", folder, " lies on ", name,
      ", where SQLite cannot lock safely: move the database to a local disk or use ", "MySQL"));
}

class SqliteFactory final : public StoreFactory {
 public:
  SqliteFactory(std::string path, const SqliteStoreOptions& options,
                std::shared_ptr<OwnerLock> lock)
      : path_(std::move(path)),
        max_file_bytes_(options.max_file_bytes),
        lock_(std::move(lock)),
        turn_(std::make_shared<SqliteWriteTurn>()) {}

  absl::StatusOr<std::unique_ptr<SqliteSession>> OpenSession() const {
    sqlite::OpenOptions options;
    options.busy_timeout = kBusyTimeout;
    NS_ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(path_, options));
    if (max_file_bytes_ != 0) {
      NS_ASSIGN_OR_RETURN(
          sqlite::Statement statement,
          database->Prepare(absl::StrCat("PRAGMA max_page_count=", max_file_bytes_ / kPageBytes)));
      NS_RETURN_IF_ERROR(statement.Run());
    }
    return std::make_unique<SqliteSession>(std::move(database), turn_, lock_);
  }

  absl::StatusOr<std::unique_ptr<Store>> Connect() override {
    NS_ASSIGN_OR_RETURN(auto session, OpenSession());
    return std::make_unique<SqlStore>(std::move(session));
  }

 private:
  const std::string path_;
  const std::uint64_t max_file_bytes_;
  const std::shared_ptr<OwnerLock> lock_;
  const std::shared_ptr<SqliteWriteTurn> turn_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StoreFactory>> OpenSqliteStore(const std::string& path,
                                                              const SqliteStoreOptions& options) {
  NS_RETURN_IF_ERROR(RefuseNetworkFileSystem(path, options));
  NS_ASSIGN_OR_RETURN(std::shared_ptr<OwnerLock> lock, OwnerLock::Take(path));
  auto factory = std::make_unique<SqliteFactory>(path, options, std::move(lock));
  NS_ASSIGN_OR_RETURN(const auto session, factory->OpenSession());
  // Nobody else can have the file, so no lease is needed.
  NS_RETURN_IF_ERROR(
      Migrate(*session, options.migration, [](SqlSession&) { return absl::OkStatus(); }));
  NS_RETURN_IF_ERROR(session->Execute("UPDATE lease SET until_us = 0 WHERE until_us <> 0", {}));
  return factory;
}

}  // namespace netsentinel::store
