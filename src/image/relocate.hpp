// Shifting an image's absolute addresses to where it stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "pe/file.hpp"

namespace bobbin::image {

/// Adds `delta` at each place, as its type says. The places were checked by the parser; their pages are
/// writable. Only pages that hold an address are touched.
void relocate(std::byte* base, std::uint64_t delta, std::span<const pe::Relocation> places) noexcept;

}  // namespace bobbin::image
