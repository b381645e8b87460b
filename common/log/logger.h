#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/ids.h"
#include "common/base/secret.h"

namespace netsentinel::log {

enum class Level { kInfo, kWarn, kError };

// One key and its value. Keys are our own words in snake_case; values may be hostile bytes: they
// are escaped when written. Built from text, integers, bool, a duration, a time, a status or a
// name; from nothing else, so that a base::Secret does not compile.
class Field {
 public:
  Field(absl::string_view key, absl::string_view value) : Field(key, Text{}, std::string(value)) {}
  Field(absl::string_view key, const char* value) : Field(key, absl::string_view(value)) {}
  Field(absl::string_view key, const std::string& value) : Field(key, absl::string_view(value)) {}
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  Field(absl::string_view key, T value) : Field(key, Bare{}, absl::StrCat(value)) {}
  template <std::same_as<bool> T>
  Field(absl::string_view key, T value) : Field(key, Bare{}, value ? "true" : "false") {}
  Field(absl::string_view key, absl::Duration value)
      : Field(key, Text{}, absl::FormatDuration(value)) {}
  Field(absl::string_view key, absl::Time value);
  Field(absl::string_view key, const absl::Status& value);
  template <typename Tag>
  Field(absl::string_view key, const base::StrongName<Tag>& value)
      : Field(key, absl::string_view(value.value())) {}
  Field(absl::string_view key, const base::Secret& value) = delete;

  const std::string& key() const { return key_; }
  // Unescaped.
  const std::string& value() const { return value_; }
  // True for numbers and booleans, which need no quotes.
  bool bare() const { return bare_; }

 private:
  struct Text {};
  struct Bare {};
  Field(absl::string_view key, Text, std::string value) : key_(key), value_(std::move(value)) {}
  Field(absl::string_view key, Bare, std::string value)
      : key_(key), value_(std::move(value)), bare_(true) {}

  std::string key_;
  std::string value_;
  bool bare_ = false;
};

// One event. `event` is a stable id such as "router.login_refused", explained in the operations
// manual; `message` is a sentence for people.
struct Record {
  Level level = Level::kInfo;
  std::string event;
  std::string message;
  std::vector<Field> fields;
};

// Where events go. Thread-safe.
class Logger {
 public:
  virtual ~Logger() = default;
  void Info(absl::string_view event, absl::string_view message,
            std::initializer_list<Field> fields = {}) {
    Log(Level::kInfo, event, message, fields);
  }
  // Something that an operator may want to look at; the program goes on as designed.
  void Warn(absl::string_view event, absl::string_view message,
            std::initializer_list<Field> fields = {}) {
    Log(Level::kWarn, event, message, fields);
  }
  // Something that an operator must act on.
  void Error(absl::string_view event, absl::string_view message,
             std::initializer_list<Field> fields = {}) {
    Log(Level::kError, event, message, fields);
  }

 protected:
  virtual bool Enabled(Level level) const = 0;
  virtual void Write(Record record) = 0;

 private:
  void Log(Level level, absl::string_view event, absl::string_view message,
           std::initializer_list<Field> fields);
};

}  // namespace netsentinel::log
