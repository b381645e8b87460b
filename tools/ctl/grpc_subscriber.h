#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "netsentinel/v1/usage.pb.h"
#include "tools/ctl/client.h"

namespace netsentinel::ctl {

// A subscriber as an operator names it.
struct SubscriberWish {
  // As ranking shows it.
  std::string name;
  // Empty: whichever there is.
  std::string site;
  std::string router;
};

// The one among the ranking's rows that is wished. kNotFound when there is none, naming those of
// that name elsewhere; kInvalidArgument when there are several, naming them, or when the name has a
// wrong escape. Pure.
absl::StatusOr<v1::SubscriberRef> ChooseSubscriber(const v1::GetRankingResponse& ranking,
                                                   const SubscriberWish& wish);

// The subscriber that is wished, among those that the aggregator has seen in the last month. Errors
// are those of ChooseSubscriber and of the call.
absl::StatusOr<v1::SubscriberRef> FindSubscriber(const ClientFlags& flags,
                                                 const SubscriberWish& wish,
                                                 const base::Clock& clock);

}  // namespace netsentinel::ctl
