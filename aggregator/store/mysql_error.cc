#include "aggregator/store/mysql_error.h"

#include "absl/strings/str_cat.h"

namespace netsentinel::store {
namespace {

struct KnownError {
  int number;
  MysqlTrouble trouble;
};

constexpr KnownError kKnownErrors[] = {
    {1053, MysqlTrouble::kConnection},  // server shutdown in progress
    {1077, MysqlTrouble::kConnection},  // normal shutdown
    {1079, MysqlTrouble::kConnection},  // shutdown complete
    {1080, MysqlTrouble::kConnection},  // forcing close
    {1152, MysqlTrouble::kConnection},  // aborted connection
    {1158, MysqlTrouble::kConnection},  // network read
    {1159, MysqlTrouble::kConnection},  // network read timeout
    {1160, MysqlTrouble::kConnection},  // network write
    {1161, MysqlTrouble::kConnection},  // network write timeout
    {1184, MysqlTrouble::kConnection},  // aborted connection
    {1317, MysqlTrouble::kConnection},  // query interrupted
    {1927, MysqlTrouble::kConnection},  // connection was killed
    {2001, MysqlTrouble::kConnection},  // cannot create socket
    {2002, MysqlTrouble::kConnection},  // cannot connect (socket)
    {2003, MysqlTrouble::kConnection},  // cannot connect (host)
    {2005, MysqlTrouble::kConnection},  // unknown host
    {2006, MysqlTrouble::kConnection},  // gone away
    {2013, MysqlTrouble::kConnection},  // lost during query
    {2014, MysqlTrouble::kConnection},  // commands out of sync
    {2026, MysqlTrouble::kConnection},  // TLS handshake
    {2027, MysqlTrouble::kConnection},  // malformed packet
    {2055, MysqlTrouble::kConnection},  // lost, system error
    {4031, MysqlTrouble::kConnection},  // idle too long
    {1180, MysqlTrouble::kConflict},    // error during COMMIT: Galera certification
    {1205, MysqlTrouble::kConflict},    // lock wait timeout
    {1206, MysqlTrouble::kConflict},    // lock table full
    {1213, MysqlTrouble::kConflict},    // deadlock
    {3572, MysqlTrouble::kConflict},    // NOWAIT
    {1040, MysqlTrouble::kBusy},        // too many connections
    {1041, MysqlTrouble::kBusy},        // out of memory
    {1047, MysqlTrouble::kBusy},        // Galera node not ready
    {1129, MysqlTrouble::kBusy},        // host blocked
    {1203, MysqlTrouble::kBusy},        // too many connections of the user
    {1226, MysqlTrouble::kBusy},        // resource limit of the user
    {1290, MysqlTrouble::kBusy},        // read-only
    {1792, MysqlTrouble::kBusy},        // read-only transaction
    {1836, MysqlTrouble::kBusy},        // read-only mode
    {3024, MysqlTrouble::kBusy},        // execution time exceeded
    {3100, MysqlTrouble::kBusy},        // group replication refused the commit
    {3168, MysqlTrouble::kBusy},        // server not available
    {28, MysqlTrouble::kDiskFull},      // no space left on the device
    {1021, MysqlTrouble::kDiskFull},    // disk full
    {1114, MysqlTrouble::kDiskFull},    // table full
    {126, MysqlTrouble::kDamaged},      // wrong index file
    {127, MysqlTrouble::kDamaged},      // record file crashed
    {1034, MysqlTrouble::kDamaged},     // index corrupt
    {1035, MysqlTrouble::kDamaged},     // old key file
    {1194, MysqlTrouble::kDamaged},     // crashed
    {1195, MysqlTrouble::kDamaged},     // crashed, and repair failed
    {1712, MysqlTrouble::kDamaged},     // index corrupted
    {1877, MysqlTrouble::kDamaged},     // corrupt table
    {1050, MysqlTrouble::kDuplicate},   // table exists
    {1061, MysqlTrouble::kDuplicate},   // key name exists
    {1062, MysqlTrouble::kDuplicate},   // duplicate key
    {1359, MysqlTrouble::kDuplicate},   // trigger exists
    {1044, MysqlTrouble::kRefused},     // no access to the database
    {1045, MysqlTrouble::kRefused},     // wrong password
    {1049, MysqlTrouble::kRefused},     // no such database
    {1130, MysqlTrouble::kRefused},     // host not allowed
    {1142, MysqlTrouble::kRefused},     // no right to the table
    {1143, MysqlTrouble::kRefused},     // no right to the column
    {1146, MysqlTrouble::kRefused},     // no such table
    {1227, MysqlTrouble::kRefused},     // special right missing
    {1251, MysqlTrouble::kRefused},     // authentication protocol
    {1370, MysqlTrouble::kRefused},     // no right to the routine
    {1419, MysqlTrouble::kRefused},     // no right to make triggers with a binary log
    {1665, MysqlTrouble::kRefused},     // binlog_format STATEMENT
    {1698, MysqlTrouble::kRefused},     // authentication
    {1820, MysqlTrouble::kRefused},     // password expired
    {1862, MysqlTrouble::kRefused},     // password expired
    {2059, MysqlTrouble::kRefused},     // authentication plugin
    {3159, MysqlTrouble::kRefused},     // TLS is demanded
    {4151, MysqlTrouble::kRefused},     // account locked
    {1153, MysqlTrouble::kTooLong},     // packet too large, server
    {2020, MysqlTrouble::kTooLong},     // packet too large, client
    {1264, MysqlTrouble::kValue},       // number out of range
    {1265, MysqlTrouble::kValue},       // cut off
    {1292, MysqlTrouble::kValue},       // wrong value for the type
    {1366, MysqlTrouble::kValue},       // wrong value for the column
    {1406, MysqlTrouble::kValue},       // too long
    {1690, MysqlTrouble::kValue},       // result out of range
};

constexpr int kStatementLog = 1665;
constexpr int kTlsDemanded = 3159;

}  // namespace

MysqlTrouble ClassifyMysql(int error_number) {
  for (const KnownError& known : kKnownErrors) {
    if (known.number == error_number) return known.trouble;
  }
  return MysqlTrouble::kOther;
}

absl::Status MysqlStatus(int error_number, absl::string_view message, absl::string_view doing,
                         bool in_commit) {
  const std::string text = absl::StrCat("MySQL, ", doing, ": error ", error_number, ", ", message);
  switch (ClassifyMysql(error_number)) {
    case MysqlTrouble::kConnection:
      if (in_commit) {
        return absl::UnknownError(absl::StrCat(
            text, "; the transaction may or may not be stored: reload before going on"));
      }
      return absl::UnavailableError(text);
    case MysqlTrouble::kConflict:
    case MysqlTrouble::kBusy:
      return absl::UnavailableError(text);
    case MysqlTrouble::kDiskFull:
      return absl::ResourceExhaustedError(
          absl::StrCat(text, "; free space on the database server"));
    case MysqlTrouble::kDamaged:
      return absl::DataLossError(absl::StrCat(text, "; check the table or restore a backup"));
    case MysqlTrouble::kDuplicate:
      return absl::AlreadyExistsError(text);
    case MysqlTrouble::kRefused:
      if (error_number == kTlsDemanded) {
        return absl::FailedPreconditionError(
            absl::StrCat(text,
                         "; the server takes TLS connections only: give store.ca the file of its "
                         "authority"));
      }
      if (error_number == kStatementLog) {
        return absl::FailedPreconditionError(
            absl::StrCat(text, "; set binlog_format to ROW or MIXED on the database server"));
      }
      return absl::FailedPreconditionError(absl::StrCat(
          text, "; check that the database exists and the user's password and rights"));
    case MysqlTrouble::kTooLong:
      return absl::FailedPreconditionError(
          absl::StrCat(text, "; raise max_allowed_packet on the database server"));
    case MysqlTrouble::kValue:
      return absl::InvalidArgumentError(text);
    case MysqlTrouble::kOther:
      break;
  }
  return in_commit ? absl::UnknownError(text) : absl::InternalError(text);
}

}  // namespace netsentinel::store
