package mapping

import "strings"

// minorUnits are the exponents of ISO 4217: how many digits after the point an
// amount in the currency has. Currencies without a minor unit in the standard
// (gold, the SDR, test codes) are not part of it.
var minorUnits = map[int]string{
	0: `BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF`,
	2: `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
		CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL
		HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
		MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
		SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED
		VES WST XCD XCG YER ZAR ZMW ZWG`,
	3: `BHD IQD JOD KWD LYD OMR TND`,
	4: `CLF UYW`,
}

// withdrawnUnits are currencies that left the standard not long ago. Amounts
// in them are still being read back.
var withdrawnUnits = map[int]string{
	0: `BYR`,
	2: `ANG BGN CUC HRK LTL LVL EEK MRO SLL STD VEF ZWL`,
}

var exponents = func() map[[3]byte]int {
	m := make(map[[3]byte]int, 192)
	for _, list := range []map[int]string{withdrawnUnits, minorUnits} {
		for exponent, codes := range list {
			for code := range strings.FieldsSeq(codes) {
				m[[3]byte([]byte(code))] = exponent
			}
		}
	}
	return m
}()

// What exponentOf answers when there is no exponent.
const (
	currencyAbsent  = -1
	currencyUnknown = -2
)

// exponentOf looks a code up, in any case. Own holds exponents that differ at
// the provider.
func exponentOf(code []byte, own map[[3]byte]int) int {
	if len(code) != 3 {
		return currencyUnknown
	}
	var key [3]byte
	for i, c := range code {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		key[i] = c
	}
	if e, ok := own[key]; ok {
		return e
	}
	if e, ok := exponents[key]; ok {
		return e
	}
	return currencyUnknown
}
