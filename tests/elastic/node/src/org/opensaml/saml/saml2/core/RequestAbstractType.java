package org.opensaml.saml.saml2.core;

/** Only a name: classes of x-pack-security mention it, and nothing here uses SAML. */
public interface RequestAbstractType {}
