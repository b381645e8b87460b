#include <memory>

#include <grpcpp/grpcpp.h>

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/usage.grpc.pb.h"
#include "tools/ctl/grpc_subscriber.h"

namespace netsentinel::ctl {
namespace {

absl::StatusOr<v1::FindSubscribersResponse> Ask(const ClientFlags& flags,
                                                v1::UsageService::Stub& stub,
                                                const SubscriberWish& wish) {
  v1::FindSubscribersRequest request;
  request.mutable_subscriber()->set_site_id(wish.site);
  request.mutable_subscriber()->set_router_id(wish.router);
  // Raw, since a terminal may give bytes that are no UTF-8.
  NS_ASSIGN_OR_RETURN(*request.mutable_subscriber()->mutable_name()->mutable_name(),
                      base::RawName(wish.name));
  grpc::ClientContext client;
  SetDeadline(flags, client);
  v1::FindSubscribersResponse response;
  NS_RETURN_IF_ERROR(rpc::FromGrpc(stub.FindSubscribers(&client, request, &response)));
  return response;
}

}  // namespace

absl::StatusOr<v1::FoundSubscriber> FindSubscriber(const ClientFlags& flags,
                                                   const SubscriberWish& wish,
                                                   const base::Clock& clock) {
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                      Connect(flags, flags.aggregator, clock));
  const std::unique_ptr<v1::UsageService::Stub> stub = v1::UsageService::NewStub(channel);
  NS_ASSIGN_OR_RETURN(const v1::FindSubscribersResponse fitting, Ask(flags, *stub, wish));
  v1::FindSubscribersResponse elsewhere;
  if (fitting.subscribers().empty() && !(wish.site.empty() && wish.router.empty())) {
    NS_ASSIGN_OR_RETURN(elsewhere, Ask(flags, *stub, {wish.name, "", ""}));
  }
  return ChooseSubscriber(fitting, elsewhere, wish);
}

}  // namespace netsentinel::ctl
