// A mail server's words through everything that judges, masks and shows them.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

#include "common/base/check.h"
#include "common/base/display_name.h"
#include "common/base/login_answer.h"
#include "common/base/secret_mask.h"
#include "notifier/channel/smtp_login.h"
#include "notifier/channel/smtp_refusal.h"
#include "notifier/channel/smtp_verdict.h"
#include "tests/fuzz/planted_bug.h"

namespace netsentinel::channel {
namespace {

void Check(absl::string_view reply) {
  const std::string secret = "s3cret";
  base::SecretMask mask{base::Secret(secret)};
  mask.AddName("alerts");
  const std::string masked = mask.Masked(reply);
  NS_CHECK(!absl::StrContains(absl::AsciiStrToLower(masked), secret), masked);
  const std::string of_login = base::LoginAnswer(masked);
  NS_CHECK(!absl::StrContains(absl::AsciiStrToLower(of_login), secret), of_login);
  NS_CHECK(OfferedLogins(reply).size() <= reply.size(), "more words than bytes");
  for (const int code : {421, 450, 550}) {
    const Concern concern = ConcernOf(code, reply);
    for (const SmtpStage stage : {SmtpStage::kAuth, SmtpStage::kMail, SmtpStage::kRecipient}) {
      const SendResult result =
          JudgeSmtp({.end = SmtpEnd::kReply, .stage = stage, .code = code, .text = masked});
      NS_CHECK(base::IsValidUtf8(result.detail) && result.detail.size() <= 400, result.detail);
      for (const char c : result.detail) NS_CHECK(static_cast<std::uint8_t>(c) >= 0x20, "control");
      NS_CHECK(result.outcome != Outcome::kRejected || code == 550, "given up for now");
    }
    NS_CHECK(concern != Concern::kAddress || code >= 500, "an address is wrong for now");
    NS_PLANT_BUG_IF(code == 550 && concern == Concern::kAddress && absl::StrContains(reply, "!"));
  }
}

}  // namespace
}  // namespace netsentinel::channel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  netsentinel::channel::Check(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
