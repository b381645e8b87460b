#pragma once

#include <vector>

#include "absl/status/status.h"

#include "aggregator/accounting/book.h"

namespace netsentinel::query {

// `wish` has no usage, and these are known: kNotFound when it has no router, is not among them, and
// others of its name at its site have one, naming their routers, since theirs is likely to have
// been left out. Pure.
absl::Status CheckNamesakes(const accounting::SubscriberKey& wish,
                            const std::vector<accounting::Book::NamedSubscriber>& known);

}  // namespace netsentinel::query
