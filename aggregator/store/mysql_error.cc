#include "aggregator/store/mysql_error.h"

#include "absl/strings/str_cat.h"

namespace netsentinel::store {

MysqlTrouble ClassifyMysql(int error_number) {
  switch (error_number) {
    case 1053:  // server shutdown in progress
    case 1077:  // normal shutdown
    case 1079:  // shutdown complete
    case 1080:  // forcing close
    case 1152:  // aborted connection
    case 1158:  // network read
    case 1159:  // network read timeout
    case 1160:  // network write
    case 1161:  // network write timeout
    case 1184:  // aborted connection
    case 1317:  // query interrupted
    case 1927:  // connection was killed
    case 2001:  // cannot create socket
    case 2002:  // cannot connect (socket)
    case 2003:  // cannot connect (host)
    case 2005:  // unknown host
    case 2006:  // gone away
    case 2013:  // lost during query
    case 2014:  // commands out of sync
    case 2026:  // TLS handshake
    case 2027:  // malformed packet
    case 2055:  // lost, system error
    case 4031:  // idle too long
      return MysqlTrouble::kConnection;
    case 1180:  // error during COMMIT: Galera certification
    case 1205:  // lock wait timeout
    case 1206:  // lock table full
    case 1213:  // deadlock
    case 3572:  // NOWAIT
      return MysqlTrouble::kConflict;
    case 1040:  // too many connections
    case 1041:  // out of memory
    case 1047:  // Galera node not ready
    case 1129:  // host blocked
    case 1203:  // too many connections of the user
    case 1226:  // resource limit of the user
    case 1290:  // read-only
    case 1792:  // read-only transaction
    case 1836:  // read-only mode
    case 3024:  // execution time exceeded
    case 3100:  // group replication refused the commit
    case 3168:  // server not available
      return MysqlTrouble::kBusy;
    case 28:
    case 1021:  // disk full
    case 1114:  // table full
      return MysqlTrouble::kDiskFull;
    case 126:
    case 127:
    case 1034:  // index corrupt
    case 1035:
    case 1194:  // crashed
    case 1195:
    case 1712:  // index corrupted
    case 1877:  // corrupt table
      return MysqlTrouble::kDamaged;
    case 1050:  // table exists
    case 1061:  // key name exists
    case 1062:  // duplicate key
      return MysqlTrouble::kDuplicate;
    case 1044:  // no access to the database
    case 1045:  // wrong password
    case 1049:  // no such database
    case 1130:  // host not allowed
    case 1142:  // no right to the table
    case 1143:
    case 1146:  // no such table
    case 1227:  // special right missing
    case 1251:  // authentication protocol
    case 1370:
    case 1698:  // authentication
    case 1820:  // password expired
    case 1862:
    case 2059:  // authentication plugin
    case 4151:  // account locked
      return MysqlTrouble::kRefused;
    case 1153:
    case 2020:
      return MysqlTrouble::kTooLong;
    case 1264:
    case 1265:
    case 1292:
    case 1366:
    case 1406:
    case 1690:
      return MysqlTrouble::kValue;
    default:
      return MysqlTrouble::kOther;
  }
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
