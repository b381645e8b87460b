#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// Words and sentences of the RouterOS API: a word is a length prefix and that many bytes, a
// sentence is words closed by a word of length zero.
//
//   length               prefix, big-endian
//   0 … 0x7F             1 byte   n
//   0x80 … 0x3FFF        2 bytes  n | 0x8000
//   0x4000 … 0x1FFFFF    3 bytes  n | 0xC00000
//   0x200000 … 0xFFFFFFF 4 bytes  n | 0xE0000000
//   from 0x10000000      5 bytes  F0, then n
//
// F1 to F7 are undefined and F8 to FF are control bytes nobody can resynchronise after.
namespace netsentinel::routeros {

// Appends the shortest prefix for a word of `length` bytes.
void AppendLength(std::string& out, std::uint32_t length);

// Appends prefix and bytes. `word` must be shorter than 4 GiB.
void AppendWord(std::string& out, absl::string_view word);

// Appends one sentence to a buffer: SentenceBuilder(out).Word("/login").Attribute("name",
// "x").End(). Words may hold any bytes; an empty word would end the sentence and is refused by
// NS_CHECK.
class SentenceBuilder {
 public:
  explicit SentenceBuilder(std::string& out) : out_(out) {}
  SentenceBuilder& Word(absl::string_view word);
  // "=key=value"; `key` must not hold '='.
  SentenceBuilder& Attribute(absl::string_view key, absl::string_view value);
  // ".tag=<tag>"
  SentenceBuilder& Tag(absl::string_view tag);
  // Closes the sentence.
  void End();

 private:
  std::string& out_;
};

// The words of one sentence, without the closing empty word.
using Sentence = absl::Span<const absl::string_view>;

struct DecoderLimits {
  // A queue row is about 200 bytes; the longest known values are comments and lists of targets.
  std::size_t max_word_bytes = 64 * 1024;
  std::size_t max_words_per_sentence = 256;
  // Prefixes and words of one sentence. What the decoder holds never exceeds this plus what was
  // written into it since the last kNeedMore.
  std::size_t max_sentence_bytes = 128 * 1024;
};

// Cuts a byte stream into sentences, however it is divided into chunks: the same bytes give the
// same sentences and the same error. Prefixes longer than necessary are accepted, empty sentences
// are skipped. One thread.
class SentenceDecoder {
 public:
  enum class Result {
    kSentence,  // sentence() holds the next one
    kNeedMore,  // all bytes so far are used
    kError,     // status() says why; the stream cannot be resumed, and this repeats
  };

  explicit SentenceDecoder(DecoderLimits limits = {}) : limits_(limits) {}
  SentenceDecoder(const SentenceDecoder&) = delete;
  SentenceDecoder& operator=(const SentenceDecoder&) = delete;

  // Room for at least `minimum` more bytes to read into, followed by Commit of what came. Makes the
  // last sentence() invalid. Call it, or Feed, only when Next has returned kNeedMore, to keep the
  // buffer small.
  absl::Span<char> WriteSpace(std::size_t minimum);
  void Commit(std::size_t count);
  // WriteSpace, copy, Commit.
  void Feed(absl::string_view bytes);

  Result Next();
  // The words lie in the decoder's buffer until the next call of any other member.
  Sentence sentence() const { return words_; }
  // What the last sentence took on the wire, prefixes and the closing word included.
  std::size_t sentence_bytes() const { return sentence_bytes_; }
  // What empty sentences took so far.
  std::uint64_t skipped_bytes() const { return skipped_bytes_; }
  // OK, kInvalidArgument for a byte that is no length prefix, or kResourceExhausted for a limit.
  const absl::Status& status() const { return status_; }
  // Bytes of a sentence that has begun and not ended; 0 between sentences.
  std::size_t partial_bytes() const { return end_ - begin_; }

 private:
  // Reads the prefix at `scan_`. False when it is not complete or not valid (then status_ is set).
  bool ReadPrefix(std::size_t* prefix_bytes, std::size_t* word_bytes);
  Result Fail(absl::Status status);
  void MoveTo(char* base);

  const DecoderLimits limits_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  // The sentence under way starts at begin_, its words up to scan_ are in words_, bytes end at
  // end_.
  std::size_t begin_ = 0;
  std::size_t scan_ = 0;
  std::size_t end_ = 0;
  bool finished_sentence_ = false;
  std::size_t sentence_bytes_ = 0;
  std::uint64_t skipped_bytes_ = 0;
  std::vector<absl::string_view> words_;
  absl::Status status_;
};

}  // namespace netsentinel::routeros
