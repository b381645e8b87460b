#include "common/shell/process_metrics.h"

#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include <sys/resource.h>
#include <unistd.h>

#include "common/io/descriptors.h"
#include "common/io/files.h"
#include "common/shell/version.h"

namespace netsentinel::shell {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double ResidentBytes() {
  const absl::StatusOr<std::string> text = io::ReadFile("/proc/self/statm", 4096);
  if (!text.ok()) return 0;
  const std::vector<std::string> words = absl::StrSplit(*text, ' ');
  double pages = 0;
  if (words.size() < 2 || !absl::SimpleAtod(words[1], &pages)) return 0;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double OpenDescriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator folder("/proc/self/fd", error);
  if (error) return 0;
  return static_cast<double>(std::distance(begin(folder), end(folder)));
}

}  // namespace

void AddProcessMetrics(metrics::Registry& registry, const base::Clock& clock) {
  registry
      .AddGauge("netsentinel_build_info", "Always 1; the labels say what runs.",
                {{"version", std::string(Version())}})
      .Set(1);
  registry.AddGauge("process_start_time_seconds", "When the process started, since the epoch.")
      .Set(static_cast<double>(absl::ToUnixSeconds(clock.WallNow())));
  const metrics::Gauge cpu =
      registry.AddGauge("process_cpu_seconds_total", "CPU time used, user and system.");
  const metrics::Gauge resident =
      registry.AddGauge("process_resident_memory_bytes", "Memory in use.");
  registry.AddGauge("process_max_fds", "The limit of open file descriptors.")
      .Set(io::DescriptorLimit());
  const metrics::Gauge descriptors =
      registry.AddGauge("process_open_fds", "Open file descriptors.");
  registry.OnCollect([cpu, resident, descriptors] {
    cpu.Set(CpuSeconds());
    resident.Set(ResidentBytes());
    descriptors.Set(OpenDescriptors());
  });
}

}  // namespace netsentinel::shell
