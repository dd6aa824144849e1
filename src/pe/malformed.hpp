// How the parser says no, and how it keeps a stranger from making it work for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "abi/status.hpp"
#include "base/error.hpp"
#include "pe/file.hpp"

namespace bobbin::pe {

/// An error about a position in the file, for fields that are read before there are RVAs.
inline std::unexpected<Error> malformed_at(const std::string& file, std::uint64_t offset, std::string what) {
  return fail({.kind = ErrorKind::malformed,
               .status = abi::STATUS_INVALID_IMAGE_FORMAT,
               .what = std::move(what),
               .file = file,
               .offset = offset,
               .advice = "the file is damaged, or no Windows linker made it"});
}

/// An error about what a data directory says; the file offset is told where the RVA has one.
inline std::unexpected<Error> malformed(const File& file, Rva where, std::string what) {
  auto error = malformed_at(file.name(), 0, std::move(what));
  error.error().rva = where.value;
  error.error().offset.reset();
  if (const auto offset = file.offset_of(where)) error.error().offset = offset->value;
  return error;
}

/// In an honest file every table and every name stands once, so whoever reads more bytes than a small
/// multiple of its size goes in circles: a thousand descriptors that share one table, say. A Budget makes
/// that an error.
class Budget {
 public:
  explicit Budget(const File& file) : left_(file.bytes().size() * 4) {}
  /// Takes `bytes` from what is left; false when there is not enough.
  [[nodiscard]] bool spend(std::uint64_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  std::uint64_t left_;
};

}  // namespace bobbin::pe
