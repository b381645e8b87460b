#include "common/shell/shell.h"
#include "notifier/app/notifier_app.h"

int main(int argc, char** argv) {
  netsentinel::app::NotifierApp app;
  return netsentinel::shell::Main(
      {"netsentinel-notifier",
       "Delivers quota alerts and the ranked usage report by mail, each once, through outages."},
      app, argc, argv);
}
