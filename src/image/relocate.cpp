#include "image/relocate.hpp"

#include <cstring>

namespace bobbin::image {
namespace {

template <class T>
void add(std::byte* at, std::uint64_t amount) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  value = static_cast<T>(value + amount);
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

void relocate(std::byte* base, std::uint64_t delta, std::span<const pe::Relocation> places) noexcept {
  for (const pe::Relocation& place : places) {
    std::byte* at = base + place.at.value;
    switch (place.type) {
      case pe::kRelocateDir64:
        add<std::uint64_t>(at, delta);
        break;
      case pe::kRelocateHighLow:
        add<std::uint32_t>(at, delta);
        break;
      case pe::kRelocateHigh:
        add<std::uint16_t>(at, delta >> 16);
        break;
      case pe::kRelocateLow:
        add<std::uint16_t>(at, delta);
        break;
      default:  // the parser hands out no other
        break;
    }
  }
}

}  // namespace bobbin::image
