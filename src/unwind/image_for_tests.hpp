// A guest's memory for tests: code, unwind information and a stack, at addresses of their own.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <map>
#include <vector>

#include "unwind/unwind.hpp"

namespace bobbin::unwind {

class TestMemory final : public Memory {
 public:
  bool read(std::uint64_t address, void* to, std::size_t size) const noexcept override {
    const auto after = pieces_.upper_bound(address);
    if (after == pieces_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    if (address - begin > bytes.size() || bytes.size() - (address - begin) < size) return false;
    std::memcpy(to, bytes.data() + (address - begin), size);
    return true;
  }
  bool same_function(std::uint64_t /*base*/, const abi::RUNTIME_FUNCTION& /*row*/,
                     std::uint64_t target) const noexcept override {
    return target == fragment;
  }
  void put(std::uint64_t address, std::vector<std::uint8_t> bytes) { pieces_[address] = std::move(bytes); }
  void put_words(std::uint64_t address, std::initializer_list<std::uint64_t> words) {
    std::vector<std::uint8_t> bytes(words.size() * 8);
    std::memcpy(bytes.data(), words.begin(), bytes.size());
    put(address, std::move(bytes));
  }

  std::uint64_t fragment = 0;  ///< an address in another row of the function that is asked about

 private:
  std::map<std::uint64_t, std::vector<std::uint8_t>> pieces_;
};

}  // namespace bobbin::unwind
