#include "collector/app/collector_app.h"
#include "common/shell/shell.h"

int main(int argc, char** argv) {
  netsentinel::app::CollectorApp app;
  return netsentinel::shell::Main(
      {"netsentinel-collector",
       "Reads queue counters from MikroTik routers and hands them to the aggregator, none lost."},
      app, argc, argv);
}
