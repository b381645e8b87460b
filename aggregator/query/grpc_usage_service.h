#pragma once

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "aggregator/ingest/router_board.h"
#include "aggregator/query/usage_reader.h"
#include "common/rpc/grpc_peer.h"
#include "netsentinel/v1/usage.grpc.pb.h"

namespace netsentinel::query {

// UsageService. Viewers, operators, admins and the notifier may ask. Thread-safe.
class GrpcUsageService final : public v1::UsageService::Service {
 public:
  // `serving` is OK while the Book holds what was counted; else it says why not, and what is
  // answered from the Book is refused with it. Called from any thread.
  GrpcUsageService(UsageReader& reader, const ingest::RouterBoard& board,
                   const rpc::PeerAuthority& authority, std::function<absl::Status()> serving)
      : reader_(reader), board_(board), authority_(authority), serving_(std::move(serving)) {}

  grpc::Status GetRanking(grpc::ServerContext* context, const v1::GetRankingRequest* request,
                          v1::GetRankingResponse* response) override;
  grpc::Status GetSubscriberUsage(grpc::ServerContext* context,
                                  const v1::GetSubscriberUsageRequest* request,
                                  v1::GetSubscriberUsageResponse* response) override;
  grpc::Status FindSubscribers(grpc::ServerContext* context,
                               const v1::FindSubscribersRequest* request,
                               v1::FindSubscribersResponse* response) override;
  grpc::Status ListRouters(grpc::ServerContext* context, const v1::ListRoutersRequest* request,
                           v1::ListRoutersResponse* response) override;
  grpc::Status ListSites(grpc::ServerContext* context, const v1::ListSitesRequest* request,
                         v1::ListSitesResponse* response) override;
  grpc::Status ListEvents(grpc::ServerContext* context, const v1::ListEventsRequest* request,
                          v1::ListEventsResponse* response) override;
  grpc::Status ListBreaches(grpc::ServerContext* context, const v1::ListBreachesRequest* request,
                            v1::ListBreachesResponse* response) override;

  // Whether the caller went away, or its deadline has passed.
  using Gone = std::function<bool()>;
  // What GetRanking answers whoever may ask. kCancelled soon after `gone`.
  absl::Status Ranking(const v1::GetRankingRequest& request, const Gone& gone,
                       v1::GetRankingResponse& response);

 private:
  absl::Status Allow(grpc::ServerContext& context) const;
  // The same for what the Book answers.
  absl::Status AllowCounted(grpc::ServerContext& context) const;
  absl::Status SubscriberUsage(const v1::GetSubscriberUsageRequest& request, const Gone& gone,
                               v1::GetSubscriberUsageResponse& response);
  using DayRows = std::map<absl::CivilDay, std::vector<const accounting::UsageRow*>>;
  // To the days of the response, which are those of `days`.
  absl::Status AddEpochs(const accounting::SubscriberKey& key, const DayRows& days,
                         const Gone& gone, v1::GetSubscriberUsageResponse& response);
  absl::Status AddEvidence(const accounting::SubscriberKey& key, const DaySpan& span,
                           const Gone& gone, v1::GetSubscriberUsageResponse& response);
  absl::Status Find(const v1::FindSubscribersRequest& request,
                    v1::FindSubscribersResponse& response) const;
  absl::Status EventsOf(const v1::ListEventsRequest& request, v1::ListEventsResponse& response);
  absl::Status BreachesOf(const v1::ListBreachesRequest& request,
                          v1::ListBreachesResponse& response);
  // grpc_ranking.cc
  std::vector<quota::Standing> StandingsOf(const SubscriberSum& subscriber,
                                           const DaySpan& span) const;

  UsageReader& reader_;
  const ingest::RouterBoard& board_;
  const rpc::PeerAuthority& authority_;
  const std::function<absl::Status()> serving_;
};

}  // namespace netsentinel::query
