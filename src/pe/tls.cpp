// The TLS directory: what each thread's block of a module looks like, where the module's index is kept, and
// which functions hear of threads. Its four addresses are absolute, so on disk they are relative to
// ImageBase.
//
//   Start, End   the template that every thread's block is copied from
//   Index        the 32-bit word that code reads the module's index from (_tls_index)
//   Callbacks    addresses of functions, ended by 0
//   ZeroFill     ignored by Windows, hence by us
//   Flags        bits 20-23 are an alignment, coded as in a section header of an object file
#include <algorithm>

#include <fmt/format.h>

#include "base/checked.hpp"

#include "pe/format.hpp"
#include "pe/malformed.hpp"

namespace bobbin::pe {
namespace {

struct RawTls {
  U64 begin;
  U64 end;
  U64 index;
  U64 callbacks;
  U32 zero_fill;
  U32 characteristics;
};
static_assert(sizeof(RawTls) == 40);

constexpr std::uint32_t kIndexSize = 4;
constexpr std::uint32_t kLargestAlignmentCode = 14;  // 8192 bytes

Result<void> check_template(const File& file, const RawTls& raw, TlsDirectory& tls) {
  if (raw.end < raw.begin) {
    return malformed(file, tls.directory, "the TLS template ends before it starts (EndAddressOfRawData)");
  }
  if (raw.end == raw.begin) return {};
  const auto begin = file.rva_of(Va{raw.begin});
  const std::uint64_t size = raw.end - raw.begin;
  if (!begin || size > file.header().image_size || !file.covers(*begin, static_cast<std::uint32_t>(size))) {
    return malformed(
        file, tls.directory,
        fmt::format("the TLS template ({:#x} bytes from {:#x}, StartAddressOfRawData) leaves the image", size,
                    static_cast<std::uint64_t>(raw.begin)));
  }
  tls.template_begin = *begin;
  tls.template_size = static_cast<std::uint32_t>(size);
  return {};
}

bool is_writable(const File& file, Rva at) {
  return std::ranges::any_of(file.sections(), [at](const Section& section) {
    return section.writable() && at.value >= section.rva.value &&
           at.value - section.rva.value < align_up(section.virtual_size, kPageSize);
  });
}

Result<void> check_index(const File& file, const RawTls& raw, TlsDirectory& tls) {
  const auto index = file.rva_of(Va{raw.index});
  if (!index || !file.covers(*index, kIndexSize)) {
    return malformed(file, tls.directory,
                     fmt::format("the TLS index at {:#x} (AddressOfIndex) lies outside the image",
                                 static_cast<std::uint64_t>(raw.index)));
  }
  tls.index = *index;
  tls.index_read_only = !is_writable(file, *index) || !is_writable(file, *index + (kIndexSize - 1));
  return {};
}

Result<void> check_callbacks(const File& file, const RawTls& raw, TlsDirectory& tls) {
  if (raw.callbacks == 0) return {};
  const auto callbacks = file.rva_of(Va{raw.callbacks});
  if (!callbacks || !file.covers(*callbacks, sizeof(U64))) {
    return malformed(file, tls.directory,
                     "the array of TLS callbacks (AddressOfCallBacks) lies outside the image");
  }
  tls.callbacks = *callbacks;
  return {};
}

Result<void> check_alignment(const File& file, const RawTls& raw, TlsDirectory& tls) {
  const std::uint32_t code = (raw.characteristics >> 20) & 0xF;
  if (code > kLargestAlignmentCode) {
    return malformed(file, tls.directory,
                     fmt::format("TLS alignment code {} (Characteristics) is reserved", code));
  }
  tls.alignment = code == 0 ? 0 : 1u << (code - 1);
  return {};
}

}  // namespace

Result<std::optional<TlsDirectory>> File::tls() const {
  const Rva at = directory(Directory::tls).rva;
  if (!at) return std::nullopt;
  const auto raw = read<RawTls>(at);
  if (!raw) return malformed(*this, at, "the TLS directory leaves the image");
  TlsDirectory tls{.directory = at,
                   .template_begin = {},
                   .zero_fill = raw->zero_fill,
                   .index = {},
                   .callbacks = {},
                   .characteristics = raw->characteristics};
  for (const auto check : {check_template, check_index, check_callbacks, check_alignment}) {
    if (auto ok = check(*this, *raw, tls); !ok) return propagate(ok);
  }
  return tls;
}

Result<std::vector<Rva>> File::tls_callbacks(const TlsDirectory& tls) const {
  std::vector<Rva> callbacks;
  if (!tls.callbacks) return callbacks;
  for (Rva at = tls.callbacks;; at = at + sizeof(U64)) {
    const auto address = read<U64>(at);
    if (!address)
      return malformed(*this, at,
                       "the array of TLS callbacks (AddressOfCallBacks) does not end inside the image");
    if (*address == 0) return callbacks;
    const auto callback = rva_of(Va{*address});
    if (!callback || !covers(*callback, 1)) {
      return malformed(*this, at,
                       fmt::format("TLS callback {:#x} (of AddressOfCallBacks) lies outside the image",
                                   static_cast<std::uint64_t>(*address)));
    }
    callbacks.push_back(*callback);
  }
}

}  // namespace bobbin::pe
