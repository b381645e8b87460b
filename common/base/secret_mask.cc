#include "common/base/secret_mask.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace netsentinel::base {
namespace {

constexpr absl::string_view kPlain = "[password]";
constexpr absl::string_view kWithheld = "[text withheld: it held the password]";
// Shorter pieces of Base64 stand in ordinary words by chance.
constexpr std::size_t kShortestBase64 = 5;

bool Holds(absl::string_view text, const Secret& form) {
  return !form.empty() && absl::StrContains(text, form.reveal());
}

template <typename Keep>
std::string Only(absl::string_view text, Keep keep) {
  std::string kept;
  kept.reserve(text.size());
  for (const char c : text) {
    if (keep(static_cast<unsigned char>(c))) kept.push_back(c);
  }
  return kept;
}

bool IsLetterOrDigit(unsigned char c) { return absl::ascii_isalnum(c) || c >= 0x80; }
bool IsHex(unsigned char c) { return absl::ascii_isxdigit(c); }
bool IsBase64(unsigned char c) { return absl::ascii_isalnum(c) || c == '+' || c == '/'; }

std::optional<char> HexByte(absl::string_view text, std::size_t at) {
  if (at + 2 > text.size() || !IsHex(static_cast<unsigned char>(text[at])) ||
      !IsHex(static_cast<unsigned char>(text[at + 1]))) {
    return std::nullopt;
  }
  return absl::HexStringToBytes(text.substr(at, 2))[0];
}

// "%70", "=70", "\70", "\x70", "\u0070", "&#x70;" as the byte that they stand for; a backslash
// before anything else is dropped.
std::string Unescaped(absl::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const absl::string_view rest = text.substr(at);
    std::size_t prefix = 0;
    for (const absl::string_view form : {"\\x", "\\u00", "&#x", "%u00", "%", "=", "\\", "0x"}) {
      if (!absl::StartsWithIgnoreCase(rest, form)) continue;
      prefix = form.size();
      break;
    }
    const std::optional<char> byte = prefix == 0 ? std::nullopt : HexByte(text, at + prefix);
    if (byte.has_value()) {
      plain.push_back(*byte);
      at += prefix + 2;
      if (rest[0] == '&' && at < text.size() && text[at] == ';') ++at;
    } else {
      if (rest[0] != '\\') plain.push_back(rest[0]);
      ++at;
    }
  }
  return plain;
}

// "112, 97, 115" as the bytes that the numbers stand for; empty where there are none.
std::string OfDecimalBytes(absl::string_view text) {
  std::string bytes;
  int number = -1;
  const auto end = [&bytes, &number] {
    if (number >= 0 && number <= 255) bytes.push_back(static_cast<char>(number));
    number = -1;
  };
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      end();
    } else if (number <= 255) {
      number = std::max(number, 0) * 10 + (c - '0');
    }
  }
  end();
  return bytes;
}

// The characters that depend on nothing but the secret when it stands `shift` bytes into a group.
std::string Base64Middle(const std::string& secret, std::size_t shift) {
  std::string padded(shift, '\0');
  padded += secret;
  std::string text = absl::Base64Escape(padded);
  while (!text.empty() && text.back() == '=') text.pop_back();
  const std::size_t first = shift == 0 ? 0 : shift + 1;
  const std::size_t last = padded.size() % 3 == 0 ? text.size() : text.size() - 1;
  return first < last ? text.substr(first, last - first) : "";
}

// Each word of which `hides` is true as `place`.
template <typename Hides>
std::string WithoutWords(absl::string_view text, char place, Hides hides) {
  std::string kept;
  kept.reserve(text.size());
  bool first = true;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (!first) kept.push_back(' ');
    first = false;
    if (hides(word)) {
      kept.push_back(place);
    } else {
      kept.append(word.data(), word.size());
    }
  }
  return kept;
}

}  // namespace

SecretMask::Forms::Forms(std::string secret, bool is_name) : name(is_name), plain(secret) {
  std::string low = absl::AsciiStrToLower(secret);
  lower = Secret(low);
  if (secret.size() < kShortest) return;
  hex = Secret(absl::BytesToHexString(secret));
  for (std::size_t shift = 0; shift < 3; ++shift) {
    std::string middle = Base64Middle(secret, shift);
    if (middle.size() >= kShortestBase64) base64.emplace_back(std::move(middle));
  }
  if (is_name) return;
  reversed = Secret(std::string(low.rbegin(), low.rend()));
  std::string letters = Only(low, IsLetterOrDigit);
  if (letters.size() >= kShortest) squeezed = Secret(std::move(letters));
}

bool SecretMask::Forms::Shown(absl::string_view lower_text) const {
  return !name && Holds(lower_text, lower);
}

bool SecretMask::Forms::Hidden(absl::string_view text) const {
  if (plain.reveal().size() < kShortest) return false;
  const std::string low = absl::AsciiStrToLower(text);
  const std::string digits = Only(low, IsHex);
  if (digits.size() >= hex.reveal().size() && Holds(digits, hex)) return true;
  std::string wide(text);
  for (char& c : wide) c = c == '-' ? '+' : c == '_' ? '/' : c;
  const std::string packed = Only(wide, IsBase64);
  if (std::any_of(base64.begin(), base64.end(),
                  [&packed](const Secret& middle) { return Holds(packed, middle); })) {
    return true;
  }
  if (name) return false;
  if (Holds(low, reversed) || Holds(Only(low, IsLetterOrDigit), squeezed)) return true;
  if (Holds(absl::AsciiStrToLower(Unescaped(text)), lower)) return true;
  // "0x70 0x61": the noughts of the prefixes are no digits of it.
  if (absl::StrContains(low, "0x") &&
      Holds(Only(absl::AsciiStrToLower(Unescaped(text)), IsLetterOrDigit), squeezed)) {
    return true;
  }
  return Holds(absl::AsciiStrToLower(OfDecimalBytes(text)), lower);
}

SecretMask::SecretMask(const Secret& secret) { Add(secret.reveal()); }

void SecretMask::Add(absl::string_view also_secret) {
  if (!also_secret.empty()) forms_.emplace_back(std::string(also_secret), false);
}

void SecretMask::AddName(absl::string_view name) {
  if (name.size() >= kShortest) forms_.emplace_back(std::string(name), true);
}

std::string SecretMask::Masked(absl::string_view text) const {
  std::string masked(text);
  if (forms_.empty()) return masked;
  // Stands where the secret stood until all is looked through: our own words may hold a weak one.
  char place = '\x01';
  while (absl::StrContains(text, place) && place != '\x7F') ++place;
  for (const Forms& forms : forms_) {
    if (!forms.name) {
      const std::string& secret = forms.lower.reveal();
      std::string low = absl::AsciiStrToLower(masked);
      for (std::size_t at = low.find(secret); at != std::string::npos; at = low.find(secret, at)) {
        masked.replace(at, secret.size(), 1, place);
        low.replace(at, secret.size(), 1, place);
      }
    }
    if (!forms.Hidden(masked)) continue;
    masked = WithoutWords(masked, place,
                          [&forms](absl::string_view word) { return forms.Hidden(word); });
    if (forms.Hidden(masked)) return std::string(kWithheld);
  }
  return absl::StrReplaceAll(masked, {{absl::string_view(&place, 1), kPlain}});
}

bool SecretMask::Finds(absl::string_view text) const {
  const std::string low = absl::AsciiStrToLower(text);
  return std::any_of(forms_.begin(), forms_.end(), [text, &low](const Forms& forms) {
    return forms.Shown(low) || forms.Hidden(text);
  });
}

bool SecretMask::masks_names() const {
  return !forms_.empty() && !forms_.front().name &&
         forms_.front().plain.reveal().size() >= kShortestInNames;
}

bool SecretMask::operator==(const SecretMask& other) const {
  return std::equal(forms_.begin(), forms_.end(), other.forms_.begin(), other.forms_.end(),
                    [](const Forms& a, const Forms& b) {
                      return a.name == b.name && a.plain.reveal() == b.plain.reveal();
                    });
}

}  // namespace netsentinel::base
