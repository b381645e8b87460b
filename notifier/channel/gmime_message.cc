#include "notifier/channel/gmime_message.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include <gmime/gmime.h>

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/io/sha256.h"

namespace netsentinel::channel {
namespace {

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
template <typename T>
using GPtr = std::unique_ptr<T, Unref>;

struct FreeOptions {
  void operator()(GMimeFormatOptions* options) const { g_mime_format_options_free(options); }
};

// Excel takes a CSV file for UTF-8 only when it begins with the byte order mark.
constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

GPtr<GMimePart> TextPart(const char* subtype, absl::string_view content,
                         GMimeContentEncoding encoding) {
  GPtr<GMimePart> part(g_mime_part_new_with_type("text", subtype));
  g_mime_object_set_content_type_parameter(GMIME_OBJECT(part.get()), "charset", "utf-8");
  GPtr<GMimeStream> stream(g_mime_stream_mem_new_with_buffer(content.data(), content.size()));
  GPtr<GMimeDataWrapper> wrapper(
      g_mime_data_wrapper_new_with_stream(stream.get(), GMIME_CONTENT_ENCODING_DEFAULT));
  g_mime_part_set_content(part.get(), wrapper.get());
  g_mime_part_set_content_encoding(part.get(), encoding);
  return part;
}

GPtr<GMimeMultipart> Multipart(const char* subtype, const std::string& boundary) {
  GPtr<GMimeMultipart> multipart(g_mime_multipart_new_with_subtype(subtype));
  g_mime_multipart_set_boundary(multipart.get(), boundary.c_str());
  return multipart;
}

// The letter's parts as one MIME object.
GPtr<GMimeObject> Body(const Letter& letter, const std::string& key) {
  GPtr<GMimePart> text = TextPart("plain", letter.text, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
  GPtr<GMimeObject> body(GMIME_OBJECT(text.release()));
  if (!letter.html.empty()) {
    GPtr<GMimePart> html = TextPart("html", letter.html, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    GPtr<GMimeMultipart> both = Multipart("alternative", absl::StrCat("alt-", key));
    g_mime_multipart_add(both.get(), body.get());
    g_mime_multipart_add(both.get(), GMIME_OBJECT(html.get()));
    body.reset(GMIME_OBJECT(both.release()));
  }
  if (!letter.csv_name.empty()) {
    const std::string content = absl::StrCat(kByteOrderMark, letter.csv);
    GPtr<GMimePart> csv = TextPart("csv", content, GMIME_CONTENT_ENCODING_BASE64);
    g_mime_part_set_filename(csv.get(), letter.csv_name.c_str());
    g_mime_object_set_disposition(GMIME_OBJECT(csv.get()), GMIME_DISPOSITION_ATTACHMENT);
    g_mime_part_set_filename(csv.get(), letter.csv_name.c_str());
    GPtr<GMimeMultipart> mixed = Multipart("mixed", absl::StrCat("mix-", key));
    g_mime_multipart_add(mixed.get(), body.get());
    g_mime_multipart_add(mixed.get(), GMIME_OBJECT(csv.get()));
    body.reset(GMIME_OBJECT(mixed.release()));
  }
  return body;
}

absl::Status CheckOneLine(absl::string_view what, absl::string_view text) {
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(absl::StrCat("the ", what, " has a control character"));
    }
  }
  if (!base::IsValidUtf8(text)) {
    return absl::InvalidArgumentError(absl::StrCat("the ", what, " is not UTF-8"));
  }
  return absl::OkStatus();
}

std::string Key(absl::string_view letter_id, absl::string_view recipient) {
  return io::Sha256Hex(absl::StrCat(letter_id, "\n", recipient)).substr(0, 40);
}

}  // namespace

std::string MessageId(absl::string_view letter_id, absl::string_view recipient,
                      absl::string_view sender_domain) {
  return absl::StrCat(Key(letter_id, recipient), "@", sender_domain);
}

absl::StatusOr<std::string> BuildMail(const Letter& letter, const Mailbox& from,
                                      const std::string& recipient) {
  NS_RETURN_IF_ERROR(CheckOneLine("subject", letter.subject));
  NS_RETURN_IF_ERROR(CheckOneLine("attachment's name", letter.csv_name));
  NS_RETURN_IF_ERROR(CheckMailAddress(from.address));
  NS_RETURN_IF_ERROR(CheckMailAddress(recipient));
  g_mime_init();  // Counts its calls; the library stays initialised.

  GPtr<GMimeMessage> message(g_mime_message_new(TRUE));
  GMimeObject* headers = GMIME_OBJECT(message.get());
  g_mime_message_add_mailbox(message.get(), GMIME_ADDRESS_TYPE_FROM,
                             from.name.empty() ? nullptr : from.name.c_str(), from.address.c_str());
  g_mime_message_add_mailbox(message.get(), GMIME_ADDRESS_TYPE_TO, nullptr, recipient.c_str());
  g_mime_message_set_subject(message.get(), letter.subject.c_str(), "utf-8");
  std::unique_ptr<GDateTime, void (*)(GDateTime*)> date(
      g_date_time_new_from_unix_utc(absl::ToUnixSeconds(letter.date)), g_date_time_unref);
  if (date == nullptr) return absl::InvalidArgumentError("the date is out of range");
  g_mime_message_set_date(message.get(), date.get());
  g_mime_message_set_message_id(message.get(),
                                MessageId(letter.id, recipient, DomainOf(from.address)).c_str());
  // RFC 3834: keeps out-of-office replies away.
  g_mime_object_append_header(headers, "Auto-Submitted", "auto-generated", "utf-8");
  const GPtr<GMimeObject> body = Body(letter, Key(letter.id, recipient));
  g_mime_message_set_mime_part(message.get(), body.get());

  std::unique_ptr<GMimeFormatOptions, FreeOptions> options(g_mime_format_options_new());
  g_mime_format_options_set_newline_format(options.get(), GMIME_NEWLINE_FORMAT_DOS);
  const GPtr<GMimeStream> stream(g_mime_stream_mem_new());
  if (g_mime_object_write_to_stream(headers, options.get(), stream.get()) < 0) {
    return absl::InternalError("the mail could not be written to memory");
  }
  const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
  return std::string(reinterpret_cast<const char*>(bytes->data), bytes->len);
}

}  // namespace netsentinel::channel
