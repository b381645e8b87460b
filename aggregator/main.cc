#include "aggregator/app/aggregator_app.h"
#include "common/shell/shell.h"

int main(int argc, char** argv) {
  netsentinel::app::AggregatorApp app;
  return netsentinel::shell::Main(
      {"netsentinel-aggregator",
       "Turns queue counters into exact daily usage, keeps the ledger and decides breaches."},
      app, argc, argv);
}
