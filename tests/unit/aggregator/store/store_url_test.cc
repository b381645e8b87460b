#include "aggregator/store/store_url.h"

#include "gmock/gmock.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::store {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(ParseStoreUrl, ASqliteAddressIsAFile) {
  ASSERT_OK_AND_ASSIGN(const StoreLocation location,
                       ParseStoreUrl("sqlite:///var/lib/net%20sentinel/ns.db"));
  EXPECT_EQ(location.engine, StoreLocation::Engine::kSqlite);
  EXPECT_EQ(location.path, "/var/lib/net sentinel/ns.db");
}

TEST(ParseStoreUrl, AMysqlAddressHasUserHostPortAndDatabase) {
  ASSERT_OK_AND_ASSIGN(const StoreLocation location,
                       ParseStoreUrl(" mysql://net%40sentinel@db.example:3307/ns\n"));
  EXPECT_EQ(location.engine, StoreLocation::Engine::kMysql);
  EXPECT_EQ(location.user, "net@sentinel");
  EXPECT_EQ(location.host, "db.example");
  EXPECT_EQ(location.port, 3307);
  EXPECT_EQ(location.database, "ns");
  EXPECT_TRUE(location.socket.empty());
}

TEST(ParseStoreUrl, ThePortIs3306WithoutOne) {
  ASSERT_OK_AND_ASSIGN(const StoreLocation location, ParseStoreUrl("mysql://u@db/ns"));
  EXPECT_EQ(location.port, 3306);
}

TEST(ParseStoreUrl, SeveralServersAndIpv6AreUnderstood) {
  ASSERT_OK_AND_ASSIGN(const StoreLocation location,
                       ParseStoreUrl("mysql://u@[::1]:3307,db2,[fe80::1]/ns"));
  EXPECT_EQ(location.host, "::1");
  EXPECT_EQ(location.port, 3307);
  EXPECT_THAT(location.more_hosts,
              testing::ElementsAre(StoreHost{"db2", 3306}, StoreHost{"fe80::1", 3306}));
}

TEST(ParseStoreUrl, ASocketTakesThePlaceOfAHost) {
  ASSERT_OK_AND_ASSIGN(const StoreLocation location,
                       ParseStoreUrl("mysql://u@/ns?socket=/run/mysqld/mysqld.sock"));
  EXPECT_EQ(location.socket, "/run/mysqld/mysqld.sock");
  EXPECT_EQ(location.host, "localhost");
}

struct Wrong {
  const char* url;
  const char* problem;
};

TEST(ParseStoreUrl, WhatIsWrongIsNamedWithTheExpectedForm) {
  const Wrong cases[] = {
      {"", "empty"},
      {"postgres://u@h/d", "scheme"},
      {"sqlite://relative.db", "not absolute"},
      {"sqlite:///", "missing"},
      {"sqlite:///folder/", "folder"},
      {"sqlite:///a.db?mode=ro", "options"},
      {"sqlite:///a%2.db", "hex"},
      {"sqlite:///a%00.db", "hex"},
      {"mysql://u@h", "database"},
      {"mysql://u@h/", "database"},
      {"mysql://u@h/a/b", "\"/\""},
      {"mysql://h/d", "user"},
      {"mysql://@h/d", "user"},
      {"mysql://u@/d", "host"},
      {"mysql://u@h:/d", "no port after"},
      {"mysql://u@h:0/d", "not a port"},
      {"mysql://u@h:70000/d", "not a port"},
      {"mysql://u@h:x/d", "not a port"},
      {"mysql://u@[::1/d", "\"]\""},
      {"mysql://u@[::1]x/d", "unexpected"},
      {"mysql://u@h,/d", "host"},
      {"mysql://u@h/d?tls=1", "socket="},
      {"mysql://u@h/d?socket=rel", "socket="},
      {"mysql://u@h/d?", "socket="},
  };
  for (const Wrong& wrong : cases) {
    EXPECT_THAT(ParseStoreUrl(wrong.url),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("store.url"), HasSubstr(wrong.problem),
                               HasSubstr("expected form"))))
        << wrong.url;
  }
}

TEST(ParseStoreUrl, APasswordIsRefusedAndNotRepeated) {
  EXPECT_THAT(ParseStoreUrl("mysql://u:hunter2@h/d"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("password_file"), Not(HasSubstr("hunter2")))));
}

}  // namespace
}  // namespace netsentinel::store
