#include "config/cookie_secret.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <fstream>

#include "config/problem.h"
#include "config/text.h"

namespace sluice::config {

std::string ReadCookieSecret(const std::string& path, std::string* digits) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Cat("cannot open the key file ", Quote(path), "; see its name and permissions");
  std::string text(2 * kSecretDigits + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  const bool good = text.size() == kSecretDigits && IsHex(text);
  if (good) *digits = text;
  std::fill(text.begin(), text.end(), '\0');
  if (good) return {};
  return Cat("the key file ", Quote(path), " does not hold 32 hexadecimal digits; make it with `openssl rand -hex 16`");
}

}  // namespace sluice::config
