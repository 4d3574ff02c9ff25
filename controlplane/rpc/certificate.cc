#include "controlplane/rpc/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

#include "controlplane/model/text.h"

namespace sluice::rpc {
namespace {

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct CertificateDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
};

}  // namespace

absl::StatusOr<int64_t> CertificateExpiry(const std::string& path) {
  const std::unique_ptr<BIO, BioDeleter> file(BIO_new_file(path.c_str(), "r"));
  if (file == nullptr) return absl::NotFoundError(model::Cat(path, ": cannot be read"));
  const std::unique_ptr<X509, CertificateDeleter> certificate(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
  std::tm end{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) {
    return absl::InvalidArgumentError(model::Cat(path, ": has no certificate in PEM"));
  }
  return timegm(&end);
}

}  // namespace sluice::rpc
