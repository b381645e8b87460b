// Flush and commit of the MySQL store beside bare loops through the same connector: the same rows,
// fence and commit, interleaved on one private MariaDB. Prints times and ratios (bare / store: 1.0
// is as fast as bare). `bench_store [rows] [rounds]`.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <cppconn/connection.h>
#include <cppconn/driver.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <mysql_driver.h>
#include <sys/resource.h>

#include "aggregator/store/mysql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "tests/support/mariadb_server.h"

namespace netsentinel::store {
namespace {

constexpr std::size_t kRowsPerStatement = 1000;
constexpr std::size_t kRouters = 20;
constexpr std::size_t kPayloadBytes = 12'000;

struct Cost {
  double wall_s = 0;
  double cpu_s = 0;
};

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Cost Measure(const std::function<void()>& work) {
  const double cpu = CpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {wall.count(), CpuSeconds() - cpu};
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  NS_CHECK(value.ok(), value.status().ToString());
  return *std::move(value);
}
void Must(const absl::Status& status) { NS_CHECK(status.ok(), status.ToString()); }

// The least that can be written by hand.
class BareLoop {
 public:
  BareLoop(std::uint16_t port, const std::string& database)
      : connection_(sql::mysql::get_driver_instance()->connect(
            sql::SQLString(absl::StrCat("tcp://127.0.0.1:", port)), "root", "")),
        statement_(connection_->createStatement()) {
    Run(absl::StrCat("USE ", database));
    Run("SET NAMES utf8mb4");
    Run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  }

  void Flush(const std::vector<StoredUsage>& rows) {
    Begin();
    std::string text;
    const std::string day = absl::FormatCivilTime(rows.front().row.day);
    for (std::size_t begin = 0; begin < rows.size(); begin += kRowsPerStatement) {
      text = kUsageHead;
      const std::size_t end = std::min(rows.size(), begin + kRowsPerStatement);
      for (std::size_t i = begin; i < end; ++i) {
        const accounting::UsageRow& r = rows[i].row;
        absl::StrAppend(&text, i == begin ? "('" : ",('", day, "',", rows[i].subscriber_id, ",",
                        rows[i].queue_id, ",", int{r.segment}, ",");
        absl::StrAppend(&text, r.counted.upload, ",", r.counted.download, ",", r.doubt.upload, ",",
                        r.doubt.download, ",", r.unseen.upload, ",", r.unseen.download, ",");
        for (const base::TrafficBytes& bytes :
             {r.begin_inside, r.begin_outside, r.end_inside, r.end_outside}) {
          absl::StrAppend(&text, bytes.upload, ",", bytes.download, ",");
        }
        absl::StrAppend(&text, r.blind_us, ",", r.observed_us, ",", r.first_reading_us, ",",
                        r.last_reading_us, ",", r.epochs, ",", static_cast<int>(r.grade), ")");
      }
      text.append(kUsageTail);
      Run(text);
    }
    Run("COMMIT");
  }

  void Commit(const std::vector<JournalRow>& rows) {
    Begin();
    std::string text = kJournalHead;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const JournalRow& r = rows[i];
      absl::StrAppend(&text, i == 0 ? "(" : ",(", r.journal_id, ",'", r.router.value(), "',1,",
                      r.position.lease_epoch, ",'", r.position.spool_uuid, "',");
      absl::StrAppend(&text, r.position.sequence, ",", r.previous_sequence, ",", r.attribution_us,
                      ",", r.received_us, ",");
      AppendMysqlBytes(text, r.payload);
      text.push_back(')');
    }
    Run(text);
    Run("COMMIT");
  }

 private:
  static constexpr char kUsageHead[] =
      "INSERT INTO usage_daily (local_day,subscriber_id,queue_id,segment,upload,download,"
      "doubt_upload,doubt_download,unseen_upload,unseen_download,begin_inside_upload,"
      "begin_inside_download,begin_outside_upload,begin_outside_download,end_inside_upload,"
      "end_inside_download,end_outside_upload,end_outside_download,"
      "blind_us,observed_us,first_reading_us,last_reading_us,epochs,grade) VALUES ";
  static constexpr char kUsageTail[] =
      " ON DUPLICATE KEY UPDATE upload=VALUES(upload),download=VALUES(download),"
      "doubt_upload=VALUES(doubt_upload),doubt_download=VALUES(doubt_download),"
      "unseen_upload=VALUES(unseen_upload),unseen_download=VALUES(unseen_download),"
      "begin_inside_upload=VALUES(begin_inside_upload),"
      "begin_inside_download=VALUES(begin_inside_download),"
      "begin_outside_upload=VALUES(begin_outside_upload),"
      "begin_outside_download=VALUES(begin_outside_download),"
      "end_inside_upload=VALUES(end_inside_upload),"
      "end_inside_download=VALUES(end_inside_download),"
      "end_outside_upload=VALUES(end_outside_upload),"
      "end_outside_download=VALUES(end_outside_download),blind_us=VALUES(blind_us),"
      "observed_us=VALUES(observed_us),first_reading_us=VALUES(first_reading_us),"
      "last_reading_us=VALUES(last_reading_us),epochs=VALUES(epochs),grade=VALUES(grade)";
  static constexpr char kJournalHead[] =
      "INSERT INTO journal (journal_id,router,menu,lease_epoch,spool_uuid,seq,previous_seq,"
      "attribution_us,received_us,payload) VALUES ";

  void Run(const std::string& text) {
    statement_->execute(sql::SQLString(text.data(), text.size()));
  }
  void Begin() {
    Run("START TRANSACTION");
    const std::unique_ptr<sql::ResultSet> fence(
        statement_->executeQuery("SELECT epoch FROM fence WHERE id = 1 LOCK IN SHARE MODE"));
    NS_CHECK(fence->next(), "fence");
  }

  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> statement_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Report(const char* what, std::size_t things, const char* unit, const std::vector<Cost>& store,
            const std::vector<Cost>& bare) {
  std::vector<double> ratios, store_wall, bare_wall, store_cpu, bare_cpu;
  for (std::size_t i = 0; i < store.size(); ++i) {
    ratios.push_back(bare[i].wall_s / store[i].wall_s);
    store_wall.push_back(store[i].wall_s);
    bare_wall.push_back(bare[i].wall_s);
    store_cpu.push_back(store[i].cpu_s);
    bare_cpu.push_back(bare[i].cpu_s);
  }
  const double count = static_cast<double>(things);
  std::printf(
      "%-22s store %8.0f %s/s, client CPU %.2f s/M | bare %8.0f %s/s, %.2f s/M | "
      "ratio of medians %.2f, median of ratios %.2f\n",
      what, count / Median(store_wall), unit, Median(store_cpu) / count * 1e6,
      count / Median(bare_wall), unit, Median(bare_cpu) / count * 1e6,
      Median(bare_wall) / Median(store_wall), Median(ratios));
}

std::vector<StoredUsage> UsageRows(std::size_t count, absl::CivilDay day,
                                   base::SeededRandom& random) {
  std::vector<StoredUsage> rows(count);
  for (std::size_t i = 0; i < count; ++i) {
    rows[i].queue_id = rows[i].subscriber_id = i + 1;
    accounting::UsageRow& row = rows[i].row;
    row.day = day;
    row.counted = {random.Next() >> 24, random.Next() >> 24};
    row.unseen = {random.Next() >> 40, random.Next() >> 40};
    row.observed_us = 60'000'000;
    row.first_reading_us = 1'767'225'600'000'000;
    row.last_reading_us = 1'767'225'660'000'000;
  }
  return rows;
}

// `first_id` numbers the rows; `prefix` keeps the routers of the two apart.
std::vector<JournalRow> JournalRows(std::uint64_t first_id, std::uint64_t sequence,
                                    const std::string& prefix, base::SeededRandom& random) {
  std::vector<JournalRow> rows(kRouters);
  for (std::size_t i = 0; i < kRouters; ++i) {
    rows[i].journal_id = first_id + i;
    rows[i].router = base::RouterId(absl::StrCat(prefix, i));
    rows[i].position = {1, "spool-0123456789", sequence};
    rows[i].attribution_us = rows[i].received_us = 1'767'225'600'000'000;
    rows[i].payload.resize(kPayloadBytes);
    for (char& c : rows[i].payload) c = static_cast<char>(random.Next());
  }
  return rows;
}

void BenchFlush(Store& store, Fence fence, BareLoop& bare, std::size_t rows, int rounds) {
  base::SeededRandom random(1);
  std::vector<Cost> store_new, bare_new, store_again, bare_again;
  for (int round = 0; round < rounds; ++round) {
    const absl::CivilDay day = absl::CivilDay(2026, 1, 1) + 2 * round;
    for (const bool again : {false, true}) {
      FlushBatch batch;
      batch.usage = UsageRows(rows, day, random);
      const std::vector<StoredUsage> same = UsageRows(rows, day + 1, random);
      const auto by_store = [&] {
        (again ? store_again : store_new).push_back(Measure([&] {
          Must(store.Flush(fence, batch));
        }));
      };
      const auto by_hand = [&] {
        (again ? bare_again : bare_new).push_back(Measure([&] { bare.Flush(same); }));
      };
      // Who goes first alternates.
      if (round % 2 == 0) {
        by_store();
        by_hand();
      } else {
        by_hand();
        by_store();
      }
    }
  }
  Report("flush, new rows", rows, "rows", store_new, bare_new);
  Report("flush, replaced rows", rows, "rows", store_again, bare_again);
}

void BenchJournal(Store& store, Fence fence, BareLoop& bare, int rounds) {
  constexpr int kCommits = 20;
  base::SeededRandom random(2);
  std::vector<Cost> by_store, by_hand;
  std::uint64_t id = 1;
  std::uint64_t sequence = 1;
  for (int round = 0; round < rounds * 2; ++round) {
    std::vector<CommitBatch> batches(kCommits);
    std::vector<std::vector<JournalRow>> same(kCommits);
    for (int i = 0; i < kCommits; ++i, ++sequence) {
      batches[static_cast<std::size_t>(i)].journal = JournalRows(id, sequence, "s", random);
      same[static_cast<std::size_t>(i)] = JournalRows(id + kRouters, sequence, "b", random);
      id += 2 * kRouters;
    }
    by_store.push_back(Measure([&] {
      for (const CommitBatch& batch : batches) Must(store.Commit(fence, batch));
    }));
    by_hand.push_back(Measure([&] {
      for (const std::vector<JournalRow>& rows : same) bare.Commit(rows);
    }));
  }
  Report("commit, 20 x 12 kB", kCommits * kRouters, "snapshots", by_store, by_hand);
}

int Main(int argc, char** argv) {
  std::size_t rows = 50'000;
  int rounds = 5;
  if (argc > 1) NS_CHECK(absl::SimpleAtoi(argv[1], &rows), argv[1]);
  if (argc > 2) NS_CHECK(absl::SimpleAtoi(argv[2], &rounds), argv[2]);
  const auto server = Must(test::MariaDbServer::Start(test::MariaDbServer::Flushing::kDurable));
  Must(server->Run("CREATE DATABASE bench"));
  StoreLocation location;
  location.engine = StoreLocation::Engine::kMysql;
  location.host = "127.0.0.1";
  location.port = server->port();
  location.user = "root";
  location.database = "bench";
  const auto factory = Must(OpenMysqlStore(location, base::Secret()));
  const auto store = Must(factory->Connect());
  const Fence fence = Must(store->AcquireLease("bench", absl::Hours(1))).fence;
  BareLoop bare(server->port(), "bench");
  BenchFlush(*store, fence, bare, rows, rounds);
  BenchJournal(*store, fence, bare, rounds);
  return 0;
}

}  // namespace
}  // namespace netsentinel::store

int main(int argc, char** argv) { return netsentinel::store::Main(argc, argv); }
