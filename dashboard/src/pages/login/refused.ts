import { createContext } from 'react'
import type { ApiError } from '~/api/error'

/** Why the one-time link that led here did not open. */
export const Refused = createContext<ApiError | undefined>(undefined)
