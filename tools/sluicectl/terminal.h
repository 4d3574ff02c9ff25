#ifndef SLUICE_TOOLS_SLUICECTL_TERMINAL_H_
#define SLUICE_TOOLS_SLUICECTL_TERMINAL_H_

#include <termios.h>

#include <chrono>
#include <cstddef>
#include <string>

namespace sluice::ctl {

// Whether what goes there may have colours: a terminal that knows them, and an operator who wants them (NO_COLOR).
bool MayColour(int fd);

// Standard output's terminal, taken over for a screen that renews itself; given back with the object, also on Ctrl-C.
class LiveScreen {
 public:
  LiveScreen();
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  struct Size {
    size_t rows = 24;
    size_t columns = 80;
  };
  static Size GetSize();
  // `text`: lines, each ended.
  void Show(const std::string& text);
  // False when the operator has had enough before that.
  bool Wait(std::chrono::milliseconds time);

 private:
  bool has_input_ = false;
  termios before_{};
};

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_TERMINAL_H_
