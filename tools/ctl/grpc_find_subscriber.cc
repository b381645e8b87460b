#include <memory>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include <grpcpp/grpcpp.h>

#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/usage.grpc.pb.h"
#include "tools/ctl/grpc_subscriber.h"

namespace netsentinel::ctl {
namespace {

constexpr int kSeenDays = 31;
constexpr std::uint32_t kMostRows = 100'000;

}  // namespace

absl::StatusOr<v1::SubscriberRef> FindSubscriber(const ClientFlags& flags,
                                                 const SubscriberWish& wish,
                                                 const base::Clock& clock) {
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                      Connect(flags, flags.aggregator, clock));
  // Sites are ahead of UTC or behind it.
  const absl::CivilDay today = absl::ToCivilDay(clock.WallNow(), absl::UTCTimeZone());
  v1::GetRankingRequest request;
  request.set_site_id(wish.site);
  request.set_first_day(absl::FormatCivilTime(today - kSeenDays));
  request.set_last_day(absl::FormatCivilTime(today + 1));
  request.set_limit(kMostRows);
  grpc::ClientContext client;
  SetDeadline(flags, client);
  v1::GetRankingResponse response;
  NS_RETURN_IF_ERROR(
      rpc::FromGrpc(v1::UsageService::NewStub(channel)->GetRanking(&client, request, &response)));
  return ChooseSubscriber(response, wish);
}

}  // namespace netsentinel::ctl
