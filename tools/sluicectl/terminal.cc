#include "tools/sluicectl/terminal.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace sluice::ctl {
namespace {

volatile sig_atomic_t stopped = 0;

void Stop(int) { stopped = 1; }

// To the terminal's other screen, without a cursor; and back.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kClearLine = "\x1b[K";
constexpr std::string_view kClearBelow = "\x1b[J";

}  // namespace

bool MayColour(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* terminal = std::getenv("TERM");
  return isatty(fd) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

LiveScreen::LiveScreen() {
  struct sigaction action {};
  action.sa_handler = Stop;  // without SA_RESTART, so that a wait ends
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  if (isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    has_input_ = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
  }
  std::cout << kEnter << std::flush;
}

LiveScreen::~LiveScreen() {
  std::cout << kLeave << std::flush;
  if (has_input_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

LiveScreen::Size LiveScreen::GetSize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
  return {.rows = size.ws_row, .columns = size.ws_col};
}

void LiveScreen::Show(const std::string& text) {
  // Written over what is there rather than onto an empty screen, which would flicker.
  std::string frame(kHome);
  for (const char c : text) {
    if (c == '\n') frame += kClearLine;
    if (c == '\n') frame += '\r';
    frame += c;
  }
  frame += kClearBelow;
  std::cout << frame << std::flush;
}

bool LiveScreen::Wait(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (stopped == 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return true;
    pollfd input{.fd = has_input_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, static_cast<int>(left.count())) <= 0) continue;
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) != 1) {
      has_input_ = false;  // its end: there are no keys any more
    } else if (key == 'q' || key == 'Q') {
      return false;
    }
  }
  return false;
}

}  // namespace sluice::ctl
