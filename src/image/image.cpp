#include "image/image.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "abi/status.hpp"
#include "image/cache.hpp"
#include "image/plan.hpp"
#include "image/relocate.hpp"
#include "pe/format.hpp"

namespace bobbin::image {
namespace {

/// What pages have between map_image() and protect(). Windows' final value for data, so those need no second
/// call.
constexpr std::uint32_t kStaged = memory::kWriteCopy;

std::uint32_t with_write(std::uint32_t protect) {
  switch (protect) {
    case memory::kExecute:
    case memory::kExecuteRead:
    case memory::kExecuteWriteCopy:
      return memory::kExecuteWriteCopy;
    default:
      return memory::kWriteCopy;
  }
}

}  // namespace

/// Builds a Mapped step by step; if a step fails, the destructor of the unfinished Mapped undoes the others.
class Mapper {
 public:
  Mapper(const FileBytes& file, const pe::File& parsed, const MapOptions& options)
      : file_(file), parsed_(parsed), options_(options) {}

  Result<Mapped> run(memory::AddressSpace& space) {
    if (auto ok = place(space); !ok) return propagate(ok);
    mapped_.final_ = final_protections(parsed_, options_.data_only);
    if (auto ok = fill(); !ok) return propagate(ok);
    if (mapped_.relocated_ && !options_.data_only) {
      if (auto ok = shift(); !ok) return propagate(ok);
    }
    return std::move(mapped_);
  }

 private:
  /// Reserves address space, at the preferred base if that is free.
  Result<void> place(memory::AddressSpace& space) {
    const pe::Header& header = parsed_.header();
    auto* preferred = reinterpret_cast<void*>(header.image_base);
    const bool usable =
        header.image_base != 0 && header.image_base <= memory::kAddressLimit - header.image_size;
    Result<std::byte*> base = fail({});
    if (usable && !options_.data_only) base = reserve(space, preferred);
    if (!base) {
      if (header.relocations_stripped() && !options_.data_only) return cannot_move();
      base = reserve(space, nullptr);
    }
    if (!base) return propagate(base);
    mapped_.space_ = &space;
    mapped_.base_ = *base;
    mapped_.size_ = header.image_size;
    mapped_.relocated_ = *base != preferred;
    return {};
  }

  Result<std::byte*> reserve(memory::AddressSpace& space, void* at) const {
    return space.reserve(parsed_.header().image_size, at, memory::Type::image, memory::kExecuteWriteCopy);
  }

  std::unexpected<Error> cannot_move() const {
    return fail({.kind = ErrorKind::system,
                 .status = abi::STATUS_CONFLICTING_ADDRESSES,
                 .what = fmt::format("must stand at {:#x} (its relocations are stripped), and that is taken",
                                     parsed_.header().image_base),
                 .file = parsed_.name(),
                 .advice = "link it with /DYNAMICBASE, or with another /BASE"});
  }

  Result<void> fill() {
    const std::uint32_t size = mapped_.size_;
    if (const auto direct = direct_ranges(parsed_)) return fill_from(file_.fd(), *direct);
    if (size >= options_.copy_below) {
      if (const os::Descriptor entry = find_laid_out(file_, parsed_, options_)) {
        return fill_from(entry.get(), laid_out_ranges(parsed_));
      }
    }
    return copy();
  }

  /// Maps pages of a file, and commits the zeros between them.
  Result<void> fill_from(int fd, const std::vector<FileRange>& ranges) {
    mapped_.file_backed_ = true;
    std::uint32_t done = 0;
    for (const FileRange& range : ranges) {
      if (auto ok = fill_zeros(done, range.rva); !ok) return ok;
      auto ok = mapped_.space_->commit_file(mapped_.base_ + range.rva, range.size, fd, range.offset, kStaged);
      if (!ok) return std::unexpected(std::move(ok).error().in(parsed_.name()));
      done = range.rva + range.size;
    }
    return fill_zeros(done, mapped_.size_);
  }

  Result<void> fill_zeros(std::uint32_t begin, std::uint32_t end) {
    if (begin == end) return {};
    return mapped_.space_->commit(mapped_.base_ + begin, end - begin, kStaged);
  }

  Result<void> copy() {
    if (auto ok = fill_zeros(0, mapped_.size_); !ok) return ok;
    for (const Piece& piece : pieces(parsed_)) {
      std::memcpy(mapped_.base_ + piece.rva, file_.bytes().data() + piece.offset, piece.size);
    }
    return {};
  }

  /// Relocates, and lets the header in memory say where the image stands, as Windows does.
  Result<void> shift() {
    const auto places = parsed_.relocations();
    if (!places) return std::unexpected(places.error());
    const auto base = reinterpret_cast<std::uint64_t>(mapped_.base_);
    relocate(mapped_.base_, base - parsed_.header().image_base, *places);
    const auto field = parsed_.image_base_field();
    std::memcpy(mapped_.base_ + field.value, &base, sizeof base);
    return {};
  }

  const FileBytes& file_;
  const pe::File& parsed_;
  const MapOptions& options_;
  Mapped mapped_;
};

Result<Mapped> map_image(const FileBytes& file, const pe::File& parsed, memory::AddressSpace& space,
                         const MapOptions& options) {
  return Mapper(file, parsed, options).run(space);
}

Mapped::Mapped(Mapped&& other) noexcept { *this = std::move(other); }

Mapped& Mapped::operator=(Mapped&& other) noexcept {
  std::swap(space_, other.space_);
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  std::swap(relocated_, other.relocated_);
  std::swap(file_backed_, other.file_backed_);
  std::swap(protected_, other.protected_);
  std::swap(final_, other.final_);
  return *this;
}

Mapped::~Mapped() {
  if (space_ != nullptr) (void)space_->release(base_);
}

Result<void> Mapped::make_writable(Rva at, std::uint32_t size) {
  if (!in_range(at.value, size, size_)) {
    return fail({.kind = ErrorKind::invalid,
                 .status = abi::STATUS_INVALID_PARAMETER,
                 .what = fmt::format("{:#x} bytes do not lie in the image", size),
                 .rva = at.value});
  }
  if (!protected_ || size == 0) return {};
  const std::uint32_t begin = align_down(at.value, pe::kPageSize);
  const std::uint32_t end = align_up(at.value + size, pe::kPageSize);
  for (const ProtectedRange& range : final_) {
    const std::uint32_t from = std::max(begin, range.begin), to = std::min(end, range.end);
    if (from >= to) continue;
    auto changed = space_->protect(base_ + from, to - from, with_write(range.protect));
    if (!changed) return propagate(changed);
  }
  return {};
}

Result<void> Mapped::protect() {
  for (const ProtectedRange& range : final_) {
    if (range.protect == kStaged) continue;
    auto changed = space_->protect(base_ + range.begin, range.end - range.begin, range.protect);
    if (!changed) return propagate(changed);
  }
  protected_ = true;
  return {};
}

}  // namespace bobbin::image
