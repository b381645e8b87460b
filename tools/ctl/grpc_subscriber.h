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

// The one that fits the wish; among several, where the site is given and the router is not, the one
// that no router scopes. Who is active decides nothing: a dialled-in user comes and goes. kNotFound
// when there is none, naming those of that name elsewhere; kInvalidArgument when there are several,
// naming them. Pure.
absl::StatusOr<v1::FoundSubscriber> ChooseSubscriber(const v1::FindSubscribersResponse& fitting,
                                                     const v1::FindSubscribersResponse& elsewhere,
                                                     const SubscriberWish& wish);

// The subscriber that is wished, among all that the aggregator has ever seen. Errors are those of
// ChooseSubscriber and of the call, kInvalidArgument for a name with a wrong escape among them.
absl::StatusOr<v1::FoundSubscriber> FindSubscriber(const ClientFlags& flags,
                                                   const SubscriberWish& wish,
                                                   const base::Clock& clock);

}  // namespace netsentinel::ctl
