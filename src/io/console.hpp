// The terminal as a Windows console: modes, lines of input, key events, colours, title.
//
// A Windows console has two sides with a mode each. Input modes are the terminal's own settings (termios);
// output modes are only remembered, since a terminal always understands escape sequences. What the guest
// changed is undone by restore(): on Linux the terminal outlives the program, and the shell expects it as it
// was.
#pragma once

#include <termios.h>

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/io.hpp"
#include "base/error.hpp"
#include "os/os.hpp"
#include "sync/object.hpp"

namespace bobbin::io {

/// One for the process. Thread-safe. `fd` is always a terminal.
class Console {
 public:
  Console() = default;
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;
  ~Console() { restore(); }

  [[nodiscard]] Result<std::uint32_t> input_mode(int fd);
  [[nodiscard]] Result<void> set_input_mode(int fd, std::uint32_t mode);
  [[nodiscard]] std::uint32_t output_mode() const { return output_mode_; }
  [[nodiscard]] Result<void> set_output_mode(std::uint32_t mode);
  /// Puts the terminal back as the program found it.
  void restore() noexcept;

  /// Input as bytes; in line mode a line ends with CR LF. 0 at the end of input.
  [[nodiscard]] Result<std::size_t> read(int fd, std::span<std::byte> into, sync::Waiter& self);
  /// The same as UTF-16 units.
  [[nodiscard]] Result<std::size_t> read(int fd, std::span<char16_t> into, sync::Waiter& self);

  /// Key events, taken (`take`) or only looked at. Waits for the first one if `wait`.
  [[nodiscard]] Result<std::size_t> events(int fd, std::span<abi::INPUT_RECORD> into, bool take, bool wait,
                                           sync::Waiter& self);
  [[nodiscard]] std::size_t count_events(int fd);
  void flush_input(int fd);

  /// UTF-16 for the terminal as UTF-8. A high surrogate waits for its other half in the next call.
  [[nodiscard]] std::string encode_output(std::u16string_view text);

  /// The escape sequence for Windows' colour bits, which are remembered.
  [[nodiscard]] std::string set_attributes(std::uint16_t attributes);
  [[nodiscard]] std::uint16_t attributes() const { return attributes_; }

  [[nodiscard]] std::u16string title() const;
  /// The escape sequence that shows it.
  [[nodiscard]] std::string set_title(std::u16string_view title);

  /// Handlers for Ctrl-C, last registered first to be asked. Removing one that is not there fails.
  void add_handler(void* handler);
  [[nodiscard]] bool remove_handler(void* handler);
  [[nodiscard]] std::vector<void*> handlers() const;

 private:
  /// Reads once from the terminal into input_; false at the end of input.
  [[nodiscard]] Result<bool> fill(int fd, sync::Waiter& self);
  void pump_events(int fd);
  void add_key(std::string_view& bytes);

  mutable os::Mutex mutex_;
  std::optional<termios>
      original_;               ///< guarded by mutex_, as are the rest; set when the terminal was changed
  int original_fd_ = -1;       ///< a descriptor of our own for it
  std::string input_;          ///< read and not yet taken
  char16_t pending_low_ = 0;   ///< second half of a pair whose first half filled the caller's buffer
  char16_t pending_high_ = 0;  ///< first half of a pair that was written alone
  std::deque<abi::INPUT_RECORD> events_;
  std::u16string title_;
  std::vector<void*> handlers_;
  std::atomic<std::uint32_t> input_extra_{0x1F0};  ///< mode bits that a terminal has no setting for
  std::atomic<std::uint32_t> output_mode_{abi::ENABLE_PROCESSED_OUTPUT | abi::ENABLE_WRAP_AT_EOL_OUTPUT};
  std::atomic<std::uint16_t> attributes_{7};
};

}  // namespace bobbin::io
