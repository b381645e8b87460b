// Runs worlds of the oracle through the real accounting: oracle_driver < commands > answers.
//
// Text, one command a line, words apart by one space, "-" for an empty word. Nothing is answered
// before a line `run`: then all answers since the last one, and a line `done`. So a caller sends a
// batch of worlds, then reads until `done`, and no pipe can fill on both sides.
//
//   world TAG                  forgets everything and begins anew   -> world TAG
//   site ID ZONE DAY_START_S [CUT_S...]
//   router ID SITE simple|tree LINE_RATE_BPS POLL_S residue|roots
//   rule simple|tree PATTERN SUBSCRIBER both|download|upload join|apart
//   start NOW_US               takes the policy; again after a change as `policy NOW_US`
//   snap ROUTER MENU HOST BEGIN_US END_US SESSION STAMP_US UPTIME_S SERIAL FINGERPRINT BOUNDARY
//        SKEW_MS PAUSED_US DECIDED ROWS        then ROWS lines of
//   row ID NAME TARGET PARENT DYNAMIC MAX_UP MAX_DOWN BURST_UP BURST_DOWN UPLOAD DOWNLOAD PACKETS
//                              puts a snapshot into the collector's spool, encoded
//   session ROUTER · ask ROUTER MENU... · bytes ROUTER HEX · hangup ROUTER
//                              the router's own bytes through the collector's session and readers
//   take ROUTER MENU HOST BEGIN_US END_US SESSION STAMP_US SERIAL BOUNDARY SKEW_MS PAUSED_US
//   DECIDED
//                              the reply of that menu into the spool                -> taken | lost
//                              WHY
//   thin INDEX [BOUNDARY_US…]  merges that snapshot of the spool into the next    -> thin 0|1
//   deliver COUNT NOW_US TOGETHER    decodes, stages and installs the oldest      -> refused …
//   clock TRUE_US OFF_US WHO   the aggregator's clocks go on; NOW_US may then be `agreed`
//   reboot TRUE_US OFF_US      its host starts anew
//   flush NOW_US · failflush NOW_US · restart NOW_US   (recover from the store and replay)
//   usage SITE ROUTER SUBSCRIBER FIRST LAST [SEGMENT]
//                              -> usage SURE_UP SURE_DOWN COUNTED_UP COUNTED_DOWN UNSEEN_UP
//                                 UNSEEN_DOWN GRADE
//   rows                       every row with all its figures                     -> day …
//   events                     -> event AT_US ROUTER KIND QUEUE
//   run
//
// A command that cannot be obeyed answers `error COMMAND: WHY`. Ends at the end of the input.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

#include "tests/oracle/driver/world.h"

int main() {
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  auto world = std::make_unique<netsentinel::oracle::World>();
  std::string line;
  std::string answers;
  while (std::getline(std::cin, line)) {
    if (line.empty()) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words[0] == "run") {
      answers += "done\n";
      std::cout << answers << std::flush;
      answers.clear();
      continue;
    }
    if (words[0] == "world") {
      world = std::make_unique<netsentinel::oracle::World>();
      absl::StrAppend(&answers, line, "\n");
      continue;
    }
    const absl::Status status = world->Run(words, answers);
    if (!status.ok()) absl::StrAppend(&answers, "error ", words[0], ": ", status.message(), "\n");
  }
  return std::cin.bad() ? 1 : 0;
}
