#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "common/rpc/peer_trouble.h"
#include "netsentinel/v1/usage.grpc.pb.h"
#include "notifier/delivery/usage_source.h"

namespace netsentinel::delivery {

// Most bytes of one answer: a ranking of 100,000 subscribers.
inline constexpr int kMaxUsageAnswerBytes = 128 << 20;

// Asks the aggregator's UsageService. Thread-safe.
class GrpcUsageSource final : public UsageSource {
 public:
  // Calls under way end when the stop is requested.
  GrpcUsageSource(const std::shared_ptr<grpc::Channel>& channel, rpc::PeerNames aggregator,
                  std::stop_token stop);

  absl::StatusOr<std::vector<Site>> ListSites() override;
  absl::StatusOr<report::DayRanking> GetRanking(const std::string& site_id,
                                                const std::string& day) override;

 private:
  absl::Status Explain(const grpc::Status& status) const;

  std::unique_ptr<v1::UsageService::Stub> stub_;
  const rpc::PeerNames aggregator_;
  const std::stop_token stop_;
};

}  // namespace netsentinel::delivery
