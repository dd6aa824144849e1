// What changes in a folder, as ReadDirectoryChangesW tells it, from the host's inotify.
//
// The host watches single folders by number; a watch of a whole tree is one for each folder in it, kept up to
// date as folders come, go and move. A folder that comes may have content before we watch it: what is found
// in it is told as added, and forgotten where the host tells it again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "abi/io.hpp"
#include "base/error.hpp"
#include "io/operations.hpp"
#include "os/descriptor.hpp"

struct inotify_event;

namespace bobbin::io {

/// Not thread-safe: used under the lock of Operations.
class FolderWatch {
 public:
  /// `filter`: FILE_NOTIFY_CHANGE_*. `room`: for how many bytes of records changes are kept while nobody
  /// asks.
  [[nodiscard]] static Result<std::shared_ptr<FolderWatch>> begin(const std::string& host,
                                                                  std::uint32_t filter, bool subtree,
                                                                  std::size_t room);

  [[nodiscard]] int fd() const { return inotify_.get(); }
  /// What has changed since the last call, as FILE_NOTIFY_INFORMATION; nothing if nothing has.
  /// STATUS_NOTIFY_ENUM_DIR and no bytes if it is too much to be told one by one.
  [[nodiscard]] std::optional<Outcome> take(std::span<std::byte> into);
  /// The same for who wants to know no more than that something has changed.
  [[nodiscard]] std::optional<Outcome> take_all();

  /// Of FindFirstChangeNotification, which has none of the guest's.
  abi::IO_STATUS_BLOCK block{};

 private:
  struct Change {
    std::uint32_t action;
    std::u16string name;  ///< relative to the folder
  };
  struct Watched {
    std::string folder;           ///< relative, with a last slash; empty for the folder itself
    std::set<std::string> found;  ///< told as added before the host did
  };

  FolderWatch(std::string host, std::uint32_t filter, bool subtree, std::size_t room)
      : host_(std::move(host)), filter_(filter), subtree_(subtree), room_(room) {}
  /// Watches a folder, and what is in it; tells of its content as added if `is_new`.
  void add(const std::string& folder, bool is_new);
  void forget(const std::string& folder);
  void drain();
  void take_event(const inotify_event& event);
  /// A name that has been moved away is not seen to come up elsewhere.
  void moved_out();
  void tell(std::uint32_t action, const std::string& name, std::uint32_t concerned);
  [[nodiscard]] static std::size_t size_of(const Change& change);

  const std::string host_;
  const std::uint32_t filter_;
  const bool subtree_;
  const std::size_t room_;
  os::Descriptor inotify_;
  std::map<int, Watched> watched_;
  std::deque<Change> changes_;
  std::size_t size_ = 0;  ///< of their records
  bool lost_ = false;     ///< more than could be kept
  struct Moved {
    std::uint32_t cookie;
    std::string name;
    bool is_folder;
  };
  std::optional<Moved> moved_;
};

}  // namespace bobbin::io
