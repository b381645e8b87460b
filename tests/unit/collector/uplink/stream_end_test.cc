#include "collector/uplink/stream_end.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::uplink {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const AggregatorNames kNames = {
    .target = "agg.example:7443", .authority_file = "/c/ca.crt", .certificate_file = "/c/c1.crt"};

struct End {
  const char* name;
  absl::Status status;
  const char* words;
  const char* also;
};

class StreamEndTest : public ::testing::TestWithParam<End> {};
TEST_P(StreamEndTest, SaysWhatHappenedToWhichThingAndWhatToDo) {
  EXPECT_THAT(ExplainStreamEnd(GetParam().status, kNames),
              AllOf(HasSubstr(GetParam().words), HasSubstr(GetParam().also)));
}
// Words of gRPC 1.51 with OpenSSL 3.
INSTANTIATE_TEST_SUITE_P(
    Ends, StreamEndTest,
    ::testing::Values(
        End{"OtherAuthority",
            absl::UnavailableError(
                "failed to connect to all addresses; last error: UNKNOWN: Ssl handshake failed: "
                "SSL_ERROR_SSL: error:0A000086:SSL routines::certificate verify failed"),
            "issued by another authority than the one in aggregator.tls.ca /c/ca.crt",
            "the aggregator at agg.example:7443"},
        End{"NotTaken",
            absl::UnavailableError("error:0A000418:SSL routines::tlsv1 alert unknown ca"),
            "does not take the certificate aggregator.tls.cert /c/c1.crt", "another authority"},
        End{"OtherName", absl::UnavailableError("Peer name agg.example is not in peer certificate"),
            "for another name or address", "--dns"},
        End{"NoTls", absl::UnavailableError("SSL_ERROR_SSL: wrong version number"),
            "does not speak TLS", "listen.grpc"},
        End{"NotRunning",
            absl::UnavailableError("failed to connect to all addresses; last error: UNKNOWN: "
                                   "ipv4:127.0.0.1:1: Failed to connect to remote host: Connection "
                                   "refused"),
            "cannot reach the aggregator at agg.example:7443: connection refused", "is it running"},
        End{"NoName",
            absl::UnavailableError("DNS resolution failed for agg.example: C-ares status"),
            "DNS does not know the name", "agg.example:7443"},
        End{"CutOff", absl::UnavailableError("Socket closed"), "its log names whom it refused",
            "perhaps the certificate aggregator.tls.cert /c/c1.crt"},
        End{"OtherWords", absl::UnavailableError("the aggregator is stopping"),
            "the aggregator is stopping", ""},
        End{"Denied", absl::PermissionDeniedError("make them the same"), "make them the same",
            "aggregator.tls.cert /c/c1.crt"},
        End{"OtherVersion", absl::FailedPreconditionError("protocol 1"), "protocol 1",
            "upgrade the older"},
        End{"Anything", absl::InternalError("x"), "x", ""}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace netsentinel::uplink
