// An array that never moves and never has to grow: address space for its largest size is taken once, and the
// host puts memory behind the pages that are touched. So adding an element cannot fail, which is what lets
// commit_* functions be noexcept.
#pragma once

#include <cstddef>
#include <utility>

#include "base/checked.hpp"
#include "base/error.hpp"
#include "os/os.hpp"

namespace bobbin::tls {

/// Elements are zero until written; T is trivial. Not synchronised.
template <class T>
class ReservedArray {
 public:
  [[nodiscard]] static Result<ReservedArray> create(std::size_t capacity) {
    ReservedArray array;
    const std::size_t bytes = align_up(capacity * sizeof(T), os::kPageSize);
    auto at = os::reserve(bytes);
    if (!at) return propagate(at);
    array.data_ = reinterpret_cast<T*>(*at);
    array.bytes_ = bytes;
    if (auto done = os::commit(*at, bytes, os::Protection::read_write); !done) return propagate(done);
    return array;
  }
  ReservedArray() = default;
  ReservedArray(ReservedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  ReservedArray& operator=(ReservedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~ReservedArray() {
    if (data_ != nullptr) os::release(data_, bytes_);
  }

  [[nodiscard]] T& operator[](std::size_t i) { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return data_[i]; }
  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] const T* data() const { return data_; }
  [[nodiscard]] std::size_t capacity() const { return bytes_ / sizeof(T); }

 private:
  T* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace bobbin::tls
