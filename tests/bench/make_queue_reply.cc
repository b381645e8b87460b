// Writes the bytes of a router's answer to /queue/simple/print into a file, for comparisons of
// parsers: make_queue_reply --rows 10000 --tag 2 --out reply.bin
#include <fstream>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "tests/support/queue_reply.h"

int main(int argc, char** argv) {
  netsentinel::test::QueueReplyOptions options;
  std::string path;
  CLI::App app("Writes a generated RouterOS queue reply");
  app.add_option("--rows", options.rows, "queues");
  app.add_option("--tag", options.tag, "tag of every sentence, empty for none");
  app.add_option("--seed", options.seed, "the same seed gives the same bytes");
  app.add_option("--moved-bytes", options.moved_bytes, "added to the counters of 3 queues in 10");
  app.add_flag("--short", options.short_rows, "only .id, name, target, bytes, packets");
  app.add_option("--out", path, "file to write")->required();
  CLI11_PARSE(app, argc, argv);
  const std::string bytes = netsentinel::test::MakeQueueReply(options);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    std::cerr << "cannot write " << path << "\n";
    return 1;
  }
  std::cout << bytes.size() << " bytes, " << options.rows << " queues\n";
  return 0;
}
