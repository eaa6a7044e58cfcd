/* amazon_roots: the CAs that a cluster's certificate is checked against unless the configuration
 * names others. PEM. */
#ifndef SLUICE_PROXY_IO_AMAZON_ROOTS_H
#define SLUICE_PROXY_IO_AMAZON_ROOTS_H

extern const char amazon_roots[];

#endif
