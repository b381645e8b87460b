#pragma once

#include <cstdint>
#include <string>

#include "common/counters/snapshot.h"

namespace netsentinel::simulator {

// A pair as RouterOS prints it: the target's upload first, then its download.
struct UpDown {
  std::uint64_t up = 0;
  std::uint64_t down = 0;

  bool operator==(const UpDown&) const = default;
  bool zero() const { return up == 0 && down == 0; }
};

// How much a queue carries on its own. Time is cut into slots; in each slot the queue is active or
// not, and when active moves between half and one and a half of its rate. All of it follows from
// the seed alone. The queue's max-limit, where set, caps it.
struct TrafficModel {
  UpDown bytes_per_s;
  std::uint32_t active_permille = 1000;
  std::int64_t slot_us = 10'000'000;
  // Share of the uploaded bytes that go to another host of the same target.
  std::uint32_t both_permille = 0;

  bool operator==(const TrafficModel&) const = default;
};

// What a row of /queue/simple or /queue/tree is configured with. A tree queue has one direction: it
// uses the `down` halves and its `up` halves stay 0.
struct QueueSpec {
  std::string name;  // raw bytes
  std::string target;
  std::string dst;     // absent from the row when empty
  std::string parent;  // name of a queue of the same menu; for a tree also an interface or "global"
  std::string packet_marks;
  std::string comment;  // absent from the row when empty, unless `empty_comment`
  bool empty_comment = false;
  bool dynamic = false;
  bool disabled = false;
  UpDown limit_at;
  UpDown max_limit;  // bit/s, 0 is unlimited
  UpDown burst_limit;
  UpDown burst_threshold;
  UpDown burst_time_s;
  // bit/s for both directions together; 0: the row lacks the total-* limits and counts no total.
  std::uint64_t total_max_limit = 0;
  std::string time;  // "8h-18h,mon,tue"; absent from the row when empty
  std::string queue_type = "default-small";
  UpDown bytes;    // counters at start
  UpDown packets;  // counters at start
  TrafficModel traffic;
  // Who dialled in, for a dynamic queue: kind "pppoe", "l2tp", … and the user's name.
  std::string session_kind;
  std::string session_user;
};

// One living row with its counters.
struct Queue {
  QueueSpec spec;
  // The number in `.id`.
  std::uint64_t row_id = 0;
  // Never reused within a router: tells two rows of equal `.id` apart.
  std::uint64_t instance = 0;
  bool invalid = false;
  bool frozen = false;  // traffic passes, its counters stand still
  UpDown bytes;
  UpDown packets;
  UpDown dropped;
  UpDown rate_bps;  // as shown, over the last second or more
  UpDown packet_rate;

  // Position of the parent in the same menu, -1 for none.
  std::int32_t parent_index = -1;
  // Billionths of a byte, and bytes of a packet, not yet counted.
  UpDown byte_carry;
  UpDown packet_carry;
  // Traffic that entered at this queue since the last TakeMoved; the second of it was not counted.
  UpDown moved;
  UpDown moved_uncounted;
  // Of moved.down: between two hosts of the target.
  std::uint64_t moved_both = 0;
};

}  // namespace netsentinel::simulator
