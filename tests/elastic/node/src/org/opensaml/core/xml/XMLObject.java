package org.opensaml.core.xml;

/** Only a name: classes of x-pack-security mention it, and nothing here uses SAML. */
public interface XMLObject {}
