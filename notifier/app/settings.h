#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config/address.h"
#include "common/config/secret_source.h"
#include "common/config/section.h"
#include "common/config/shared_sections.h"
#include "notifier/channel/curl_smtp_channel.h"
#include "notifier/delivery/grouping.h"
#include "notifier/delivery/report_desk.h"

namespace netsentinel::app {

// notifier.yaml.
struct NotifierSettings {
  config::Listen listen;
  // The page with the current report; loopback only, since it asks nobody who they are.
  std::optional<config::Address> web;
  std::vector<std::string> web_hosts;  // names that a proxy in front of it asks by
  config::Security security;
  std::string state_dir;
  config::Peer aggregator;
  // Without its password and token, which are read when they are needed.
  channel::SmtpSettings smtp;
  config::SecretSource smtp_password;
  config::SecretSource smtp_token;
  std::vector<std::string> alert_recipients;
  delivery::GroupPolicy group;
  std::vector<delivery::ReportSettings> reports;
};

// Mistakes go to the section, see config::Section.
NotifierSettings ReadNotifierSettings(config::Section root);

}  // namespace netsentinel::app
