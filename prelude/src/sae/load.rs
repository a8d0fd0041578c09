//! Reading autoencoders, one format a file, all to one orientation.
